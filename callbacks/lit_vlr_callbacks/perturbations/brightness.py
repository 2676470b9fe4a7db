"""Additive brightness."""

from __future__ import annotations

from kornia.enhance import adjust_brightness
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class Brightness(Perturbation):
    """Add one number to all pixels of a picture, then clip.

    Parameter: ``brightness`` (B,), additive, in [0, 1] pixel units, identity 0.

    Args:
        low: most darkening, in [-1, 0].
        high: most brightening, in [0, 1].

    Raises:
        ValueError: if the range leaves [-1, 1] or does not contain 0.
    """

    def __init__(self, low: float | str = -0.2, high: float | str = 0.2) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not (-1 <= bounds[0] and bounds[1] <= 1):
            raise ValueError(f"Expected brightness in [-1, 1] but got {list(bounds)}; it is added to pixels in [0, 1]")
        super().__init__({"brightness": 0.0}, {"brightness": bounds[0]}, {"brightness": bounds[1]})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        shifted: Tensor = adjust_brightness(images, params["brightness"])
        return shifted
