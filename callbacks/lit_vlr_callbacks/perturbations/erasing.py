"""A rectangle that is painted over."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import whole_place


class Erasing(Perturbation):
    """Paint over one rectangle of each picture with a grey value.

    Parameters, each (B,): ``erase_height`` and ``erase_width``, as parts of the picture's, identity 0; and, unless the
    place is fixed, ``erase_top`` and ``erase_left``: 0 at one border, 1 where the rectangle meets the other. They act
    by whole pixels, so none has a gradient.

    Args:
        high: greatest part of height and width, in [0, 1].
        value: what it is painted with, in [0, 1].
        top: where it is: 0 at the upper border, 1 at the lower one; None lets the search choose.
        left: 0 at the left border, 1 at the right one; None lets the search choose.

    Raises:
        ValueError: if a number is not in [0, 1], or only one of ``top`` and ``left`` is given.

    Reference:
        Zhong et al., Random Erasing Data Augmentation, arXiv 1708.04896, algorithm 1.
    """

    differentiable = False

    def __init__(
        self, high: float | str = 0.3, value: float | str = 0.5, top: float | None = None, left: float | None = None
    ) -> None:
        most, paint = to_number(high, "high"), to_number(value, "value")
        if (top is None) != (left is None):
            raise ValueError(f"Expected both `top` and `left` or neither but got {top} and {left}")
        numbers = {"high": most, "value": paint, "top": top, "left": left}
        for name, number in numbers.items():
            if number is not None and not 0 <= number <= 1:
                raise ValueError(f"Expected `{name}` in [0, 1] but got {number:g}; it is a part of the picture's range")
        sides = ("erase_height", "erase_width")
        place = ("erase_top", "erase_left") if top is None else ()
        super().__init__(
            {**dict.fromkeys(sides, 0.0), **dict.fromkeys(place, 0.5)},
            dict.fromkeys((*sides, *place), 0.0),
            {**dict.fromkeys(sides, most), **dict.fromkeys(place, 1.0)},
        )
        self.value, self.top, self.left = paint, top, left

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[2:]
        rows = self._covered(height, params["erase_height"], params.get("erase_top", self.top))
        columns = self._covered(width, params["erase_width"], params.get("erase_left", self.left))
        covered = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
        return images.masked_fill(covered, self.value)

    def _covered(self, total: int, part: Tensor, place: Tensor | float | None) -> Tensor:
        """Which of ``total`` rows or columns are covered, (B, total) bool."""
        size = (part * total).round().long()
        start = whole_place(torch.as_tensor(place, dtype=part.dtype, device=part.device), total - size)
        index = torch.arange(total, device=part.device)
        return (index >= start[:, None]) & (index < (start + size)[:, None])
