"""Rotation about the centre."""

from __future__ import annotations

from kornia.geometry.transform import rotate
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp


class Rotate(Warp):
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

    def __init__(self, low: float | str = -10.0, high: float | str = 10.0, padding: Padding = "zeros") -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not (-180 <= bounds[0] and bounds[1] <= 180):
            raise ValueError(f"Expected angles in [-180, 180] but got {list(bounds)}; they are in degrees")
        super().__init__({"rotate": 0.0}, {"rotate": bounds[0]}, {"rotate": bounds[1]}, padding)

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        turned: Tensor = rotate(images, params["rotate"], padding_mode=self.padding)
        return turned
