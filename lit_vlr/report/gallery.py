"""The gallery: clean and attacked pictures side by side, with what each arm answered.

Pictures are decoded and encoded again, so that a broken file is noticed here and nothing but pixels gets into the page.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from lit_vlr.errors import UserError
from lit_vlr.report.runs import Run

MAX_SIDE = 320
"""Larger pictures are scaled down to this many pixels a side, *after* their difference is taken."""
_MAX_PIXELS = 50_000_000


class GalleryFormatError(UserError):
    """A gallery that cannot be shown: names the file, the entry and the field."""

    def __init__(self, file: Path, index: int | None, field: str | None, message: str) -> None:
        super().__init__(file, index, field, message)
        self.file, self.index, self.field, self.message = file, index, field, message

    def __str__(self) -> str:
        entry = "" if self.index is None else f", entry {self.index}"
        field = "" if self.field is None else f", field {self.field!r}"
        return f"{self.file}{entry}{field}: {self.message}"


@dataclass(frozen=True)
class Answer:
    """What an arm said to one picture."""

    text: str
    confidence: float
    abstained: bool
    accuracy: float | None

    @property
    def verdict(self) -> str:
        """``right`` if most annotators would agree, ``partly``, ``wrong``, or ``unlabelled``."""
        if self.accuracy is None:
            return "unlabelled"
        return "right" if self.accuracy >= 0.5 else "partly" if self.accuracy > 0 else "wrong"


@dataclass(frozen=True)
class View:
    """One arm's part of a card: its own attacked picture (attacks are made against the arm), and its answers."""

    arm: str
    attacked: str
    difference: str
    before: Answer
    after: Answer


@dataclass(frozen=True)
class Card:
    """One question: pictures as data URIs, what the annotators said, and a view an arm.

    Attributes:
        uid: the sample's.
        set: the set it comes from.
        attack: what was done to the picture.
        question: as asked.
        answers: the annotators' answers with their counts, most common first.
        eps: the attack's bound in [0, 1] pixel units; None where it has none.
        factor: by how much the difference is amplified.
        pixelated: whether the picture is so small that it is shown enlarged.
        clean: the clean picture.
        views: in the arms' order.
    """

    uid: str
    set: str
    attack: str
    question: str
    answers: tuple[tuple[str, int], ...]
    eps: float | None
    factor: int
    pixelated: bool
    clean: str
    views: tuple[View, ...]


@dataclass(frozen=True)
class Gallery:
    """The cards that are shown, and how many there were."""

    cards: tuple[Card, ...]
    total: int


@dataclass(frozen=True)
class _Entry:
    arm: str
    file: Path
    index: int
    fields: Mapping[str, Any]


def read_gallery(runs: Sequence[Run], *, limit: int = 24) -> Gallery:
    """Read the galleries of all runs and join their entries by uid, set and attack.

    Args:
        runs: runs without ``gallery/index.json`` have no part in it.
        limit: at most this many cards, the first ones of the indices: choosing by outcome would mislead.

    Raises:
        GalleryFormatError: for an index that is not a list of complete entries, a picture outside the gallery, or one
            that is missing, broken, too large or of another size than its clean twin.
    """
    questions: dict[tuple[str, str, str], list[_Entry]] = {}
    for run in runs:
        for entry in _read_index(run):
            key = (entry.fields["uid"], entry.fields["set"], entry.fields["attack"] or "")
            questions.setdefault(key, []).append(entry)
    # Questions that more arms answered come first: only those compare anything. The sort is stable.
    chosen = sorted(questions.values(), key=lambda entries: -len(entries))[:limit]
    return Gallery(tuple(map(_card, chosen)), len(questions))


def _read_index(run: Run) -> list[_Entry]:
    path = run.folder / "gallery" / "index.json"
    if not path.is_file():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GalleryFormatError(path, None, None, f"expected JSON but got {error}; run the test again") from error
    if not isinstance(entries, list):
        message = f"expected a list but got {type(entries).__name__}; run the test again"
        raise GalleryFormatError(path, None, None, message)
    seen: set[tuple[str, str, str | None]] = set()
    for index, entry in enumerate(entries):
        _check_entry(path, index, entry)
        key = (entry["uid"], entry["set"], entry["attack"])
        if key in seen:
            raise GalleryFormatError(path, index, "uid", f"expected {key} once but it is there twice; remove one")
        seen.add(key)
    return [_Entry(run.name, path, index, entry) for index, entry in enumerate(entries)]


def _check_entry(path: Path, index: int, entry: Any) -> None:  # noqa: ANN401 - straight from JSON
    def is_number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

    def is_share(value: object) -> bool:
        return value is None or (isinstance(value, int | float) and is_number(value) and 0 <= value <= 1)

    if not isinstance(entry, dict):
        message = f"expected an object but got {type(entry).__name__}; run the test again"
        raise GalleryFormatError(path, index, None, message)
    checks: dict[str, Callable[[Any], bool]] = {
        **dict.fromkeys(("uid", "set", "question", "clean_png", "attacked_png"), lambda v: isinstance(v, str)),
        **dict.fromkeys(("clean_answer", "attacked_answer"), lambda v: isinstance(v, str)),
        **dict.fromkeys(("clean_confidence", "attacked_confidence"), is_number),
        **dict.fromkeys(("clean_abstained", "attacked_abstained"), lambda v: isinstance(v, bool)),
        **dict.fromkeys(("clean_accuracy", "attacked_accuracy"), is_share),
        "attack": lambda v: v is None or isinstance(v, str),
        "answers": lambda v: isinstance(v, list) and all(isinstance(answer, str) for answer in v),
        "eps": lambda v: v is None or (is_number(v) and v > 0),
    }
    for field, is_valid in checks.items():
        if field not in entry:
            raise GalleryFormatError(path, index, field, f"expected {field!r} but it is missing; run the test again")
        if not is_valid(entry[field]):
            raise GalleryFormatError(path, index, field, f"got {entry[field]!r}; run the test again")


def _card(entries: Sequence[_Entry]) -> Card:
    first = entries[0].fields
    pixels = [(_read_picture(entry, "clean_png"), _read_picture(entry, "attacked_png")) for entry in entries]
    for entry, (clean, attacked) in zip(entries, pixels, strict=True):
        if clean.shape != attacked.shape:
            message = (
                f"expected the clean picture's size {clean.shape[:2]} but got {attacked.shape[:2]}; save both alike"
            )
            raise GalleryFormatError(entry.file, entry.index, "attacked_png", message)
    differences = [attacked - clean for clean, attacked in pixels]
    factor = amplification(first["eps"], differences)
    views = [
        View(
            arm=entry.arm,
            attacked=data_uri(attacked),
            difference=data_uri(np.clip(0.5 + factor * difference, 0, 1)),
            before=_answer(entry.fields, "clean"),
            after=_answer(entry.fields, "attacked"),
        )
        for entry, (_, attacked), difference in zip(entries, pixels, differences, strict=True)
    ]
    return Card(
        uid=first["uid"],
        set=first["set"],
        attack=first["attack"] or "none",
        question=first["question"],
        answers=tuple(Counter(first["answers"]).most_common()),
        eps=first["eps"],
        factor=factor,
        pixelated=max(pixels[0][0].shape[:2]) <= MAX_SIDE // 2,
        clean=data_uri(pixels[0][0]),
        views=tuple(views),
    )


def _answer(fields: Mapping[str, Any], picture: str) -> Answer:
    return Answer(*(fields[f"{picture}_{name}"] for name in ("answer", "confidence", "abstained", "accuracy")))


def amplification(eps: float | None, differences: Sequence[np.ndarray]) -> int:
    """The factor at which the largest change the attack may make becomes half of the pixel range."""
    largest = eps if eps is not None else max(float(np.abs(difference).max()) for difference in differences)
    return max(1, round(0.5 / largest)) if largest > 0 else 1


def _read_picture(entry: _Entry, field: str) -> np.ndarray:
    """A picture as (H, W, 3) floats in [0, 1]."""
    folder = entry.file.parent.resolve()
    path = (folder / entry.fields[field]).resolve()

    def error(message: str) -> GalleryFormatError:
        return GalleryFormatError(entry.file, entry.index, field, message)

    if not path.is_relative_to(folder):
        raise error(f"expected a path inside the gallery but got {entry.fields[field]!r}; write relative paths")
    if not path.is_file():
        raise error(f"expected a picture at {entry.fields[field]!r} but there is none; run the test again")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > _MAX_PIXELS:  # before decoding: a small file can be a huge picture
                size = f"{image.width} x {image.height}"
                raise error(f"expected at most {_MAX_PIXELS} pixels but {entry.fields[field]!r} is {size}; resize it")
            return np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    # Pillow raises SyntaxError for broken PNG chunks.
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as cause:
        raise error(f"expected a PNG but {entry.fields[field]!r} is broken; run the test again") from cause


def data_uri(pixels: np.ndarray) -> str:
    """A picture (H, W, 3) in [0, 1] as a PNG that stands in the page itself, at most `MAX_SIDE` pixels a side."""
    image = Image.fromarray(np.round(255 * pixels).astype(np.uint8))
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
