"""Padding, cropping and cutting pictures into tiles."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pad_to(image: Tensor, height: int, width: int) -> Tensor:
    """Put a picture (3, H, W) in the middle of a black one; an odd rest goes to the bottom and to the right."""
    top, left = (height - image.shape[-2]) // 2, (width - image.shape[-1]) // 2
    bottom, right = height - image.shape[-2] - top, width - image.shape[-1] - left
    return F.pad(image, (left, right, top, bottom))


def center_crop(image: Tensor, side: int) -> Tensor:
    """The square in the middle of a picture (3, H, W) that is at least as large."""
    top, left = (image.shape[-2] - side) // 2, (image.shape[-1] - side) // 2
    return image[:, top : top + side, left : left + side]


def split(image: Tensor, tile: int) -> Tensor:
    """Cut a picture (3, R · tile, C · tile) into tiles, row by row: (R · C, 3, tile, tile).

    >>> import torch
    >>> split(torch.arange(4.0).reshape(1, 2, 2), 1).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    channels, height, width = image.shape
    cut = image.reshape(channels, height // tile, tile, width // tile, tile)
    return cut.permute(1, 3, 0, 2, 4).flatten(0, 1)
