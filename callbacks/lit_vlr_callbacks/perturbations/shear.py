"""Shear about the centre."""

from __future__ import annotations

import torch
from kornia.geometry.transform import affine
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp


class Shear(Warp):
    """Slant each picture about its centre, bilinearly.

    A point at (x, y) from the centre, x to the right and y downwards, in pixels, goes to
    (x + y tan(shear_x), y + x tan(shear_y)). (Kornia's ``shear`` is about the first pixel and so moves the picture as
    well.) Parameters: ``shear_x`` and ``shear_y`` (B,), degrees, identity 0.

    Args:
        x: greatest angle by which verticals slant to either side, in [0, 45).
        y: greatest angle by which horizontals slant up or down, in [0, 45).
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if an angle is not in [0, 45): two of 45 degrees would press the picture into a line.
    """

    def __init__(self, x: float | str = 10.0, y: float | str = 10.0, padding: Padding = "zeros") -> None:
        steepest = {"shear_x": to_number(x, "x"), "shear_y": to_number(y, "y")}
        if not all(0 <= angle < 45 for angle in steepest.values()):
            raise ValueError(
                f"Expected `x` and `y` in [0, 45) but got {list(steepest.values())}; they are degrees, the same in "
                "both directions"
            )
        super().__init__(
            dict.fromkeys(steepest, 0.0), {name: -angle for name, angle in steepest.items()}, steepest, padding
        )

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[-2:]
        slant_x, slant_y = (params[name].deg2rad().tan() for name in ("shear_x", "shear_y"))
        one = torch.ones_like(slant_x)
        first = [one, slant_x, -slant_x * (height - 1) / 2]
        second = [slant_y, one, -slant_y * (width - 1) / 2]
        matrix = torch.stack(first + second, 1).view(-1, 2, 3)
        slanted: Tensor = affine(images, matrix, padding_mode=self.padding)
        return slanted
