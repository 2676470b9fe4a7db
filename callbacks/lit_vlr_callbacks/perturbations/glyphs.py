"""Words drawn with letters that the package brings along, so that it needs no drawing library."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

FIRST, LAST = 32, 126
"""The characters there are: printable ASCII."""
EM, PAD = 64, 8
"""Size of the drawn font, and columns of a cell beside the advance of its character; see `scripts/glyphs.py`."""

_OUTLINE = 12  # parts of the font's size
_CRISP = 1.6  # the letters of small fonts are mostly edges: without it none of their pixels would be white


@cache
def _font() -> tuple[npt.NDArray[np.float32], list[int]]:
    with np.load(Path(__file__).with_name("glyphs.npz")) as file:
        return file["ink"].astype(np.float32) / np.float32(255), file["edges"].tolist()


def _ink(word: str) -> npt.NDArray[np.float32]:
    """A word at the drawn size, without space around it, (h, w) in [0, 1]."""
    ink, edges = _font()
    spans = [(edges[ord(c) - FIRST], edges[ord(c) - FIRST + 1]) for c in word]
    line = np.zeros((len(ink), sum(end - start - 2 * PAD for start, end in spans) + 2 * PAD), np.float32)
    place = 0
    for start, end in spans:
        here = line[:, place : place + end - start]
        np.maximum(here, ink[:, start:end], out=here)
        place += end - start - 2 * PAD
    rows, columns = np.flatnonzero(line.any(axis=1)), np.flatnonzero(line.any(axis=0))
    return line[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@lru_cache(maxsize=1024)
def render(word: str, size: int, width: int, height: int) -> npt.NDArray[np.float32]:
    """A word in a font of ``size`` pixels, or the largest that fits: its cover and brightness, (2, h, w) in [0, 1].

    An array and not a tensor: one that was made under inference mode could not be used in training later.
    """
    drawn = _ink(word)
    for points in range(size, 0, -1):
        stroke = max(1, points // _OUTLINE)
        shape = [max(1, round(side * points / EM)) for side in drawn.shape]
        if shape[0] + 2 * stroke <= height and shape[1] + 2 * stroke <= width:
            break  # otherwise smaller; the smallest is cut off
    with torch.inference_mode(False), torch.no_grad():
        ink = F.interpolate(torch.from_numpy(drawn)[None, None], shape, mode="bilinear", antialias=True)
        ink = F.pad((_CRISP * ink).clamp(0, 1), [stroke] * 4)
        cover = F.max_pool2d(ink, 2 * stroke + 1, stride=1, padding=stroke)
        both: npt.NDArray[np.float32] = torch.cat([cover, ink], 1)[0, :, :height, :width].numpy()
    return both
