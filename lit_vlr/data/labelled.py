"""Diagrams whose words are covered by letters, which a question asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lit_vlr.data.images import load_pixels
from lit_vlr.types import Box

_SMALLEST, _LARGEST = 8, 22  # pixels of the letters


@dataclass(frozen=True)
class LabelledDiagram:
    """A picture on which letters are drawn when it is loaded; see `lit_vlr.types.PictureSource`.

    Attributes:
        image: the diagram.
        labels: what is covered, and by which letter.
    """

    image: Path
    labels: tuple[tuple[Box, str], ...]

    def pixels(self, uid: str) -> np.ndarray:
        """The diagram with a white box and a black letter for each label, moved inside where it lies outside."""
        picture = Image.fromarray(load_pixels(self.image, uid))
        draw = ImageDraw.Draw(picture)
        for box, letter in self.labels:
            left, right = (min(max(x, 0), picture.width - 1) for x in (box[0], box[2]))
            top, bottom = (min(max(y, 0), picture.height - 1) for y in (box[1], box[3]))
            draw.rectangle((left, top, right, bottom), fill="white")
            centre = ((left + right) / 2, (top + bottom) / 2)
            size = min(max(bottom - top, _SMALLEST), _LARGEST)
            draw.text(centre, letter, fill="black", anchor="mm", font_size=size)
        return np.array(picture)
