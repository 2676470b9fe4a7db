"""Gamma correction."""

from __future__ import annotations

import torch
from kornia.enhance import adjust_gamma
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import per_picture, same_at_identity

_FLOOR = 1e-3


class Gamma(Perturbation):
    """Raise all pixels of a picture to one power.

    Below 1e-3 a straight line to black takes the place of the power, x 0.001^(gamma - 1), which meets it there: the
    slope of the power at black is infinite where gamma < 1, and one black pixel would spoil a gradient. Parameter:
    ``gamma`` (B,), an exponent, identity 1; below 1 brightens, above 1 darkens.

    Args:
        low: least exponent, in (0, 1].
        high: greatest exponent, at least 1.

    Raises:
        ValueError: if the range has exponents that are not positive or does not contain 1.
    """

    def __init__(self, low: float | str = 0.7, high: float | str = 1.5) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not bounds[0] > 0:
            raise ValueError(f"Expected exponents above 0 but got low={bounds[0]:g}; 1 is the identity")
        super().__init__({"gamma": 1.0}, {"gamma": bounds[0]}, {"gamma": bounds[1]})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        power: Tensor = adjust_gamma(images.clamp_min(_FLOOR), params["gamma"])
        line = images * _FLOOR ** (per_picture(params["gamma"]) - 1)
        corrected = torch.where(images < _FLOOR, line, power)
        return same_at_identity(images, corrected, params["gamma"] == 1)
