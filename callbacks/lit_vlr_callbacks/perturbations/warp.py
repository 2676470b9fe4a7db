"""Perturbations that move pixels: bilinear resampling, and what lies beyond the border."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional

from lit_vlr_callbacks.perturbations.base import Params, Perturbation

Padding: TypeAlias = Literal["zeros", "border", "reflection"]
"""What lies beyond the border: black, the border's pixels repeated, or the picture mirrored in their centres."""


class Warp(Perturbation):
    """Resample each picture bilinearly at other places.

    Bilinear interpolation has a kink where samples fall on pixel centres, as all do at the identity: there the
    gradient is one-sided.

    Args:
        identity: as in `Perturbation`.
        low: as in `Perturbation`.
        high: as in `Perturbation`.
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if the padding is none of these, or a range does not contain its identity.
    """

    def __init__(
        self, identity: Mapping[str, float], low: Mapping[str, float], high: Mapping[str, float], padding: Padding
    ) -> None:
        if padding not in get_args(Padding):
            raise ValueError(f"Expected `padding` among {list(get_args(Padding))} but got {padding!r}")
        super().__init__(identity, low, high)
        self.padding: Padding = padding

    def _settings(self) -> dict[str, object]:
        return {"padding": self.padding}

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        return self._exact_at_identity(images, self._warp(images, params), params)

    @abstractmethod
    def _warp(self, images: Tensor, params: Params) -> Tensor:
        """Resample, (B, C, H, W); it need not be exact at the identity."""


def displace(images: Tensor, shift: Tensor, padding: Padding) -> Tensor:
    """Show at each pixel p what lies at p - shift(p): a constant shift moves the picture by it.

    Args:
        images: (B, C, H, W).
        shift: (B, H, W, 2), x before y, in fractions of the width and the height.
        padding: what lies beyond the border.

    Returns:
        (B, C, H, W).
    """
    height, width = images.shape[-2:]
    identity = torch.eye(2, 3, dtype=images.dtype, device=images.device)[None]
    here = functional.affine_grid(identity, [1, 1, height, width], align_corners=True)
    # The grid runs from -1 to 1 between the centres of the first and the last pixel: side - 1 pixels are 2 units.
    unit = [2 * width / max(width - 1, 1), 2 * height / max(height - 1, 1)]
    there = here - shift * torch.tensor(unit, dtype=images.dtype, device=images.device)
    return functional.grid_sample(images, there, padding_mode=padding, align_corners=True)
