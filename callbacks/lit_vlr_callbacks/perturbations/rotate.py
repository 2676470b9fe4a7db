"""Rotation about the centre."""

from __future__ import annotations

from typing import Literal

import torch
from kornia.geometry.transform import rotate
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class Rotate(Perturbation):
    """Rotate each picture about its centre, bilinearly.

    Parameter: ``rotate`` (B,), degrees, counter-clockwise, identity 0. At angles that put samples on pixel centres
    (0, 90, ...) bilinear interpolation has a kink and the gradient is one-sided.

    Args:
        low: least angle in degrees, in [-180, 0].
        high: greatest angle in degrees, in [0, 180].
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if the range leaves [-180, 180] or does not contain 0.
    """

    def __init__(
        self,
        low: float | str = -10.0,
        high: float | str = 10.0,
        padding: Literal["zeros", "border", "reflection"] = "zeros",
    ) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not (-180 <= bounds[0] and bounds[1] <= 180):
            raise ValueError(f"Expected angles in [-180, 180] but got {list(bounds)}; they are in degrees")
        super().__init__({"rotate": 0.0}, {"rotate": bounds[0]}, {"rotate": bounds[1]})
        self.padding = padding

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        degrees = params["rotate"]
        turned: Tensor = rotate(images, degrees, padding_mode=self.padding)
        # Resampling on the identity grid is not bit-exact. Take the picture itself there, with the gradient of the
        # resampled one: a plain `where` would have none, and an attack that starts at the identity would not move.
        untouched = images.detach() + (turned - turned.detach())
        return torch.where((degrees == 0).view(-1, 1, 1, 1), untouched, turned)
