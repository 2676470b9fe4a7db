"""Resizing as Pillow does it, with gradients."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Resample = Literal["bilinear", "bicubic", "lanczos"]

_PILLOW: dict[int, Resample] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
_LOBES = 3  # of Pillow's Lanczos filter


def resample_of(number: int) -> Resample:
    """The filter that an image processor's ``resample`` means.

    Raises:
        ValueError: if it is another than Lanczos, bilinear or bicubic.
    """
    if number not in _PILLOW:
        raise ValueError(f"Expected `resample` as one of {_PILLOW} but got {number}")
    return _PILLOW[number]


def resize(image: Tensor, height: int, width: int, resample: Resample = "bicubic") -> Tensor:
    """Resize a picture (3, H, W) in [0, 1] to (3, height, width); of that size already, it is returned as it is.

    With ``antialias`` torch has Pillow's filters (bicubic with a = -0.5, not -0.75). Pillow rounds to 8 bits and clips
    after the horizontal pass and again after the vertical one: that is all the difference, about 1/255, and more at
    hard edges where bicubic and Lanczos overshoot.
    """
    if image.shape[-2:] == (height, width):
        return image
    if resample == "lanczos":  # torch has it since 2.13 only
        rows, columns = _lanczos(image.shape[-2], height), _lanczos(image.shape[-1], width)
        with torch.autocast(image.device.type, enabled=False):  # a product of matrices: it would be in half precision
            resized = rows.to(image) @ image @ columns.to(image).T
    else:
        resized = F.interpolate(image[None], (height, width), mode=resample, antialias=True, align_corners=False)[0]
    return resized.clamp(0.0, 1.0)


def _lanczos(old: int, new: int) -> Tensor:
    """Weights of each old line in each new one, (new, old); rows sum to 1."""
    scale = old / new
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(old, dtype=torch.float64) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = torch.sinc(distance) * torch.sinc(distance / _LOBES) * (distance.abs() < _LOBES)
    return weights / weights.sum(1, keepdim=True)
