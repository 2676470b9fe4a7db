"""Sharpness."""

from __future__ import annotations

from kornia.enhance import sharpness
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class Sharpness(Perturbation):
    """Blend each picture with a smoothed copy, or away from it, then clip.

    Kornia's ``sharpness``: the smoothed copy weighs a pixel 5/13 and each of its eight neighbours 1/13; pixels of the
    border stay as they are. Parameter: ``sharpness`` (B,), identity 1; 0 is the smoothed copy, 2 as much sharper.

    Args:
        low: least factor, in [0, 1].
        high: greatest factor, at least 1.

    Raises:
        ValueError: if the range has negative factors or does not contain 1.
    """

    def __init__(self, low: float | str = 0.0, high: float | str = 2.0) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not bounds[0] >= 0:
            raise ValueError(f"Expected sharpness factors of at least 0 but got low={bounds[0]:g}; 1 is the identity")
        super().__init__({"sharpness": 1.0}, {"sharpness": bounds[0]}, {"sharpness": bounds[1]})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        blended: Tensor = sharpness(images, params["sharpness"])
        return self._exact_at_identity(images, blended, params)
