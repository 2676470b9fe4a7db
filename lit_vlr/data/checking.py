"""A walk through a set: what is in it, what is wrong with it, and what it looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from string import ascii_uppercase
from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw

from lit_vlr.data.images import load_pixels
from lit_vlr.data.splits import image_key
from lit_vlr.errors import ImageError
from lit_vlr.types import ImageRef, Sample

_CELL, _TEXT = 192, 46  # pixels of a picture on the sheet, and of the words under it
_LINE, _WIDTH = 11, 32  # pixels of a line, and characters in it


@dataclass
class Findings:
    """What a walk found.

    Attributes:
        counts: figures by what they count, in the order in which they are printed.
        problems: one line each.
    """

    counts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_samples(samples: Sequence[Sample], expected: int | None = None, pictures: int | None = None) -> Findings:
    """Count, and load pictures to see whether they can be.

    Args:
        samples: the set.
        expected: how many samples it should have; None where that is not known.
        pictures: how many pictures are loaded, evenly spread; None loads all.
    """
    found = Findings()
    owners: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        owners.setdefault(image_key(sample), sample)
    known = "" if expected is None else f" of {expected:,} expected"
    found.counts["samples"] = f"{len(samples):,}{known}"
    found.counts["pictures"] = f"{len(owners):,}, {len(samples) / len(owners):.2f} questions each"
    labelled = [s for s in samples if s.answers]
    found.counts["with labels"] = f"{len(labelled):,}"
    if labelled:
        numbers = Counter(len(sample.answers) for sample in labelled)
        found.counts["answers a sample"] = ", ".join(f"{n} ({many:,})" for n, many in sorted(numbers.items())[:6])
        common = Counter(answer for sample in labelled for answer in sample.answers).most_common(5)
        found.counts["most common answers"] = ", ".join(f"{answer!r} ({many:,})" for answer, many in common)
    found.counts["words a question"] = f"{fmean(len(sample.question.split()) for sample in samples):.1f}"
    found.counts["metadata"] = ", ".join(sorted({key for sample in samples for key in sample.metadata})) or "none"
    if expected is not None and expected != len(samples):
        found.problems.append(f"expected {expected:,} samples but got {len(samples):,}; is the file whole?")
    _look(list(owners.values()), pictures, found)
    return found


def _look(owners: list[Sample], pictures: int | None, found: Findings) -> None:
    n = len(owners) if pictures is None else min(pictures, len(owners))
    chosen = [owners[place] for place in np.linspace(0, len(owners) - 1, n).astype(int)] if n else []
    sizes = []
    for sample in chosen:
        try:
            height, width = load_pixels(sample.image, sample.uid).shape[:2]
        except ImageError as error:
            found.problems.append(str(error))
        else:
            sizes.append((width, height))
    found.counts["pictures loaded"] = f"{len(sizes):,} of {n:,} tried"
    if sizes:
        widths, heights = zip(*sizes, strict=True)
        found.counts["width, height"] = f"{min(widths)} to {max(widths)}, {min(heights)} to {max(heights)}"


def contact_sheet(samples: Sequence[Sample], n: int = 24, columns: int = 6) -> Image.Image:
    """Some pictures of a set with what is asked and answered, evenly spread over it.

    A picture that cannot be loaded is a red cell with the reason.
    """
    chosen = [samples[place] for place in np.linspace(0, len(samples) - 1, min(n, len(samples))).astype(int)]
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * _CELL, rows * (_CELL + _TEXT)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, sample in enumerate(chosen):
        left, top = place % columns * _CELL, place // columns * (_CELL + _TEXT)
        try:
            sheet.paste(_thumbnail(sample.image, sample.uid), (left, top))
        except ImageError as error:
            draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), fill="#b03030")
            _write(draw, (left + 4, top + 4), str(error), 12)
        _write(draw, (left + 2, top + _CELL + 1), sample.question, 3)
        _write(draw, (left + 2, top + _CELL + 1 + 3 * _LINE), f"-> {_label(sample)}", 1)
    return sheet


def _thumbnail(image: ImageRef, uid: str) -> Image.Image:
    picture = Image.fromarray(load_pixels(image, uid))
    picture.thumbnail((_CELL - 4, _CELL - 4))
    return picture


def _label(sample: Sample) -> str:
    """The first answer, with its text where it is the letter of an option."""
    if not sample.answers:
        return "(no label)"
    answer = sample.answers[0]
    texts = dict(zip(ascii_uppercase, sample.choices, strict=False))
    return f"{answer}: {texts[answer]}" if answer in texts else answer


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, lines: int) -> None:
    """A few lines in the built-in font, which knows Latin letters; what is cut off ends in three dots."""
    clean = text.encode("latin-1", "replace").decode("latin-1")
    for number, line in enumerate(wrap(clean, _WIDTH, max_lines=lines, placeholder="...")):
        draw.text((at[0], at[1] + number * _LINE), line, fill="black", font_size=10)
