"""Zoom about the centre."""

from __future__ import annotations

from kornia.geometry.transform import scale
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp


class Scale(Warp):
    """Enlarge or shrink each picture about its centre, bilinearly; the frame stays.

    Parameter: ``scale`` (B,), a factor on both sides, identity 1: 2 shows the middle half of each side, 1/2 the whole
    picture within a border. There is no smoothing before shrinking, so detail aliases below about 1/2.

    Args:
        low: least factor, in (0, 1].
        high: greatest factor, at least 1.
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if a factor is not positive or the range does not contain 1.
    """

    def __init__(self, low: float | str = 0.8, high: float | str = 1.25, padding: Padding = "zeros") -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not bounds[0] > 0:
            raise ValueError(f"Expected scale factors above 0 but got low={bounds[0]:g}; 1 is the identity")
        super().__init__({"scale": 1.0}, {"scale": bounds[0]}, {"scale": bounds[1]}, padding)

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        scaled: Tensor = scale(images, params["scale"], padding_mode=self.padding)
        return scaled
