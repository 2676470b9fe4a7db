"""Perspective by moved corners."""

from __future__ import annotations

from kornia.geometry.transform import get_perspective_transform, warp_perspective
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp


class Perspective(Warp):
    """Move the four corners of each picture, as if it were seen from elsewhere.

    Parameter: ``perspective`` (B, 4, 2), where the corners top left, top right, bottom right and bottom left go: x to
    the right and y downwards, in fractions of the width and the height, identity 0. Four equal offsets are a
    translation.

    Args:
        magnitude: furthest a corner moves along either side, in [0, 1/4). From 1/4 on the corners can come to lie on
            a line, and no perspective shows that.
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if the magnitude is not in [0, 1/4).
    """

    def __init__(self, magnitude: float | str = 0.1, padding: Padding = "zeros") -> None:
        furthest = to_number(magnitude, "magnitude")
        if not 0 <= furthest < 0.25:
            raise ValueError(
                f"Expected `magnitude` in [0, 1/4) but got {furthest:g}; it is a fraction of the side, and corners "
                "must stay corners"
            )
        super().__init__({"perspective": 0.0}, {"perspective": -furthest}, {"perspective": furthest}, padding)

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """Two numbers a corner."""
        return {"perspective": (4, 2)}

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[-2:]
        right, bottom = width - 1, height - 1  # corners are the centres of the outermost pixels
        corners = images.new_tensor([[0, 0], [right, 0], [right, bottom], [0, bottom]]).expand(len(images), 4, 2)
        moved = corners + params["perspective"] * images.new_tensor([width, height])
        matrix = get_perspective_transform(corners, moved)
        seen: Tensor = warp_perspective(images, matrix, (height, width), padding_mode=self.padding)
        return seen
