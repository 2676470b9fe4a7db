"""What a sample costs to compute, without computing it: for batches of samples that cost the same."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from lit_vlr.data.corruptions import CorruptedPicture
from lit_vlr.data.images import FORMATS
from lit_vlr.data.labelled import LabelledDiagram
from lit_vlr.data.table import TablePicture
from lit_vlr.data.targets import majority
from lit_vlr.types import ImageRef, Sample

PATCH = 28
"""Pixels a side of what becomes one token in models that keep a picture's own resolution."""
_CHARACTERS = 4.0  # a token, about


def sample_cost(sample: Sample, kind: str) -> float:
    """Tokens of a sample, about.

    Args:
        sample: the sample.
        kind: ``length`` counts the texts, ``image_tokens`` the picture, ``both`` adds them up.
    """
    cost = 0.0
    if kind != "image_tokens":
        cost += (len(sample.asked) + len(majority(sample))) / _CHARACTERS
    if kind != "length":
        cost += image_tokens(sample.image)
    return cost


def image_tokens(image: ImageRef) -> int:
    """Patches of a picture, from the header of its file; 0 where that cannot be read, which loading it will report.

    Pictures in shards count 0 too: their order stays within a few shards, and is not by cost.
    """
    if isinstance(image, CorruptedPicture | LabelledDiagram):  # of the size of what is under it
        return image_tokens(image.image)
    if isinstance(image, np.ndarray):
        height, width = image.shape[:2]
    elif isinstance(image, Path | TablePicture):
        try:
            with Image.open(image if isinstance(image, Path) else BytesIO(image.content()), formats=FORMATS) as opened:
                width, height = opened.size
        except (OSError, ValueError, SyntaxError):
            return 0
    else:
        return 0
    return int(-(-height // PATCH) * -(-width // PATCH))
