"""Multiplicative contrast."""

from __future__ import annotations

from kornia.enhance import adjust_contrast
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class Contrast(Perturbation):
    """Multiply all pixels of a picture by one number, then clip.

    Kornia's ``adjust_contrast``: the pivot is black, not the mean of the picture. Parameter: ``contrast`` (B,), a
    factor, identity 1.

    Args:
        low: least factor, in [0, 1].
        high: greatest factor, at least 1.

    Raises:
        ValueError: if the range has negative factors or does not contain 1.
    """

    def __init__(self, low: float | str = 0.7, high: float | str = 1.3) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not bounds[0] >= 0:
            raise ValueError(f"Expected contrast factors of at least 0 but got low={bounds[0]:g}; 1 is the identity")
        super().__init__({"contrast": 1.0}, {"contrast": bounds[0]}, {"contrast": bounds[1]})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        scaled: Tensor = adjust_contrast(images, params["contrast"])
        return scaled
