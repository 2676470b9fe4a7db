"""Boxes in words, and whether they are where they should be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lit_vlr.functional import box_iou
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.tasks.base import PerAnswer
from lit_vlr.types import Box, Sample

GRID = 999
"""Coordinates in words are 0 to 999 from edge to edge, as Qwen-VL writes them."""
_NUMBER = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True)
class BoxOverlap(PerAnswer):
    """RefCOCO, RefCOCO+, RefCOCOg: IoU with the right box of at least a threshold.

    Args:
        iou_threshold: smallest overlap that counts, itself included.
        grid: what the right and lower edges are called in answers; 1 where they are fractions.
    """

    iou_threshold: float = 0.5
    grid: float = GRID
    name = "box_accuracy"

    def labelled(self, sample: Sample) -> bool:
        """Whether there is a box to compare with."""
        return sample.box is not None

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0 or 1; a reply without a box is 0."""
        assert sample.box is not None
        size = float(sample.metadata["width"]), float(sample.metadata["height"])
        found = parse_box(answer, size, self.grid) or (0.0, 0.0, 0.0, 0.0)
        return float(box_iou([found], [sample.box])[0] >= self.iou_threshold)


def parse_box(text: str, size: tuple[float, float], grid: float = GRID) -> Box | None:
    """The first four numbers of a text as corners in pixels; None where there are fewer.

    >>> parse_box("<box>(0,0),(999,499)</box>", (1000, 999))
    (0.0, 0.0, 1000.0, 499.0)
    """
    numbers = [float(found) for found in _NUMBER.findall(text)[:4]]
    if len(numbers) < 4:
        return None
    width, height = size
    x1, y1, x2, y2 = numbers
    return x1 * width / grid, y1 * height / grid, x2 * width / grid, y2 * height / grid


def box_text(box: Box, size: tuple[float, float]) -> str:
    """A box in the words that it is trained on.

    >>> box_text((0, 0, 1000, 499), (1000, 999))
    '(0,0),(999,499)'
    """
    width, height = size
    x1, y1, x2, y2 = (round(c * GRID / side) for c, side in zip(box, (width, height, width, height), strict=True))
    return f"({x1},{y1}),({x2},{y2})"
