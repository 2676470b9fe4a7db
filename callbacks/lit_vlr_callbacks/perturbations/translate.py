"""Translation by a part of the side."""

from __future__ import annotations

import torch
from kornia.geometry.transform import translate
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp


class Translate(Warp):
    """Move each picture sideways and up or down, bilinearly.

    Parameters: ``translate_x`` (B,), a fraction of the width, positive to the right; ``translate_y`` (B,), a fraction
    of the height, positive downwards; identity 0. At whole numbers of pixels, 0 among them, every sample is at a kink
    of the interpolation and the gradient is one-sided.

    Args:
        x: furthest way to either side, in [0, 1] of the width.
        y: furthest way up or down, in [0, 1] of the height.
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if a way is not in [0, 1].
    """

    def __init__(self, x: float | str = 0.1, y: float | str = 0.1, padding: Padding = "zeros") -> None:
        furthest = {"translate_x": to_number(x, "x"), "translate_y": to_number(y, "y")}
        if not all(0 <= way <= 1 for way in furthest.values()):
            raise ValueError(
                f"Expected `x` and `y` in [0, 1] but got {list(furthest.values())}; they are fractions of the side, "
                "the same in both directions"
            )
        super().__init__(
            dict.fromkeys(furthest, 0.0), {name: -way for name, way in furthest.items()}, furthest, padding
        )

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[-2:]
        pixels = torch.stack([params["translate_x"] * width, params["translate_y"] * height], 1)
        moved: Tensor = translate(images, pixels, padding_mode=self.padding)
        return moved
