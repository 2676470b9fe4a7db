"""Regions of an answer, drawn onto its picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from lit_vlr.models.qwen_vl.grounding import Region

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf")


def draw_regions(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """A copy of a picture with the outline of each region, its phrase beside its first corner.

    Regions with one phrase have one colour. Corners may be in any order.
    """
    drawn = image.convert("RGB")
    pencil = ImageDraw.Draw(drawn)
    line = max(2, round(min(drawn.size) / 150))
    phrases = list(dict.fromkeys(region.phrase for region in regions))
    for region in regions:
        colour = COLOURS[phrases.index(region.phrase) % len(COLOURS)]
        corners = region.pixels(drawn.width - 1, drawn.height - 1)
        if region.kind == "box":
            (x1, y1), (x2, y2) = corners
            corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
        pencil.line([*corners, corners[0]], fill=colour, width=line, joint="curve")
        if region.phrase:
            _label(pencil, region.phrase, corners[0], colour, drawn.width)
    return drawn


def _label(pencil: ImageDraw.ImageDraw, text: str, corner: tuple[float, float], colour: str, width: int) -> None:
    """Write a phrase inside of the picture, on its colour."""
    shown = text.encode("latin-1", "replace").decode("latin-1")  # what Pillow's own font surely has
    left, top, right, bottom = pencil.textbbox((0, 0), shown)
    x = max(0.0, min(corner[0], width - (right - left) - 4))
    y = max(0.0, corner[1] - (bottom - top) - 6)
    pencil.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=colour)
    pencil.text((x + 2 - left, y + 2 - top), shown, fill="white")
