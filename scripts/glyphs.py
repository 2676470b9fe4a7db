"""Draw the letters that `Typographic` writes with: `python -m scripts.glyphs`.

The font is Pillow's own, Aileron (CC0), so that the callbacks need neither Pillow nor a font file. The file holds the
ink of the printable ASCII characters side by side, (H, W) uint8 at an em of 64 pixels, and the columns where cells
begin; a cell is as wide as its character's advance and `PAD` more on either side, for what hangs over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lit_vlr_callbacks.perturbations import glyphs


def draw() -> dict[str, np.ndarray]:
    """The arrays of the file."""
    font = ImageFont.load_default(glyphs.EM)
    height = sum(font.getmetrics())
    cells = []
    for code in range(glyphs.FIRST, glyphs.LAST + 1):
        cell = Image.new("L", (round(font.getlength(chr(code))) + 2 * glyphs.PAD, height))
        ImageDraw.Draw(cell).text((glyphs.PAD, 0), chr(code), fill=255, font=font)
        cells.append(np.asarray(cell))
    return {
        "ink": np.concatenate(cells, axis=1),
        "edges": np.cumsum([0, *(cell.shape[1] for cell in cells)]).astype(np.int32),
    }


if __name__ == "__main__":
    np.savez_compressed(Path(glyphs.__file__).with_name("glyphs.npz"), **draw())
