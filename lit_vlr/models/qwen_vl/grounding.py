"""Where things are, as Qwen-VL writes it: ``<ref>the dog</ref><box>(100,200),(300,400)</box>``.

Convention: coordinates are whole numbers in [0, 1000), x before y, as shares of the picture's width and height: 999 is
the far edge, as in the original's evaluation. Pixel coordinates are continuous, from 0 to the width or height.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.functional import box_iou, box_iou_accuracy

LAST = 999
Kind = Literal["box", "quad"]
Point = tuple[float, float]
_CORNERS: dict[Kind, int] = {"box": 2, "quad": 4}
_POINT = r"\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)"  # Python refuses to read numbers of thousands of digits
_TAG = re.compile(r"<(/?)(ref|box|quad)>")


@dataclass(frozen=True)
class Region:
    """A box or quadrilateral in an answer.

    Attributes:
        kind: ``box`` has its upper left and lower right corner, ``quad`` all four.
        points: corners in [0, 1000).
        phrase: what is there, if the answer said so.
    """

    kind: Kind
    points: tuple[tuple[int, int], ...]
    phrase: str | None = None

    def pixels(self, width: int, height: int) -> tuple[Point, ...]:
        """Corners on a picture of this size."""
        return tuple((x / LAST * width, y / LAST * height) for x, y in self.points)


@dataclass(frozen=True)
class Grounding:
    """What could be read off an answer.

    Attributes:
        regions: in their order.
        problems: one sentence on each tag that makes no sense; empty for a well-formed answer.
    """

    regions: tuple[Region, ...]
    problems: tuple[str, ...] = ()


def write_region(kind: Kind, points: Sequence[Point], width: int, height: int, phrase: str | None = None) -> str:
    """A region of a picture as text.

    Args:
        kind: ``box`` with two corners, or ``quad`` with four.
        points: corners in pixels.
        width: the picture's.
        height: the picture's.
        phrase: what is there.

    Raises:
        UserError: for another number of corners, one outside of the picture, or a phrase with tags in it.

    Example:
        >>> write_region("box", [(0, 10), (50, 100)], 100, 100, "the dog")
        '<ref>the dog</ref><box>(0,100),(500,999)</box>'
    """
    if len(points) != _CORNERS[kind]:
        raise UserError(f"Expected {_CORNERS[kind]} `points` for a {kind} but got {len(points)}; give (x, y) pairs")
    outside = [(x, y) for x, y in points if not (0 <= x <= width and 0 <= y <= height)]
    if outside:
        raise UserError(
            f"Expected `points` on a picture of {width} × {height} but got {outside[0]}; give pixels, x first"
        )
    if phrase is not None and _TAG.search(phrase):
        raise UserError(f"Expected a `phrase` without tags but got {phrase!r}; give plain text")
    corners = ",".join(f"({round(x / width * LAST)},{round(y / height * LAST)})" for x, y in points)
    return (f"<ref>{phrase}</ref>" if phrase is not None else "") + f"<{kind}>{corners}</{kind}>"


def parse_grounding(text: str) -> Grounding:
    """Read the regions off an answer, whatever it looks like.

    A phrase holds for the regions behind it, up to the next phrase.

    Example:
        >>> parse_grounding("<ref>a dog</ref><box>(1,2),(30,40)</box> and <box>(5,6)</box>")
        Grounding(regions=(Region(kind='box', points=((1, 2), (30, 40)), phrase='a dog'),),
                  problems=("expected 2 points in <box> but got '(5,6)'",))
    """
    regions: list[Region] = []
    problems: list[str] = []
    phrase: str | None = None
    opened: tuple[str, int] | None = None  # its name, and where its content starts
    for tag in _TAG.finditer(text):
        closes, name = bool(tag[1]), tag[2]
        if not closes:
            if opened:
                problems.append(f"<{opened[0]}> is not closed")
            opened = (name, tag.end())
            continue
        if opened is None or opened[0] != name:
            problems.append(f"</{name}> closes nothing")
        else:
            content = text[opened[1] : tag.start()]
            if name == "ref":
                phrase = content.strip()
            else:
                read = _read_region("box" if name == "box" else "quad", content, phrase)
                (problems if isinstance(read, str) else regions).append(read)  # type: ignore[arg-type]
        opened = None
    if opened:
        problems.append(f"<{opened[0]}> is not closed")
    return Grounding(tuple(regions), tuple(problems))


def _read_region(kind: Kind, content: str, phrase: str | None) -> Region | str:
    """The region, or what is wrong with it."""
    corners = _CORNERS[kind]
    if not re.fullmatch(r"\s*" + r"\s*,\s*".join([_POINT] * corners) + r"\s*", content):
        return f"expected {corners} points in <{kind}> but got {content[:60]!r}"
    points = tuple((int(x), int(y)) for x, y in re.findall(_POINT, content))
    if max(map(max, points)) > LAST:
        return f"expected coordinates below 1000 in <{kind}> but got {content[:60]!r}"
    return Region(kind, points, phrase)


def first_box(text: str, width: int, height: int) -> tuple[float, float, float, float]:
    """The first box of an answer in pixels, ``(x1, y1, x2, y2)``; zeros if it has none, which overlap nothing."""
    found = next((region for region in parse_grounding(text).regions if region.kind == "box"), None)
    if found is None:
        return (0.0, 0.0, 0.0, 0.0)
    (x1, y1), (x2, y2) = found.pixels(width, height)
    return (x1, y1, x2, y2)


def grounding_accuracy(
    answers: Sequence[str],
    targets: Sequence[Sequence[float]],
    sizes: Sequence[tuple[int, int]],
    iou_threshold: float = 0.5,
) -> Tensor:
    """Share of the answers whose first box overlaps its target enough, in [0, 1], a float64 scalar.

    An answer without a box, or with a malformed one only, is wrong.

    Args:
        answers: the model's texts.
        targets: the right boxes in pixels, ``(x1, y1, x2, y2)``.
        sizes: (width, height) of each picture.
        iou_threshold: smallest overlap that counts.

    Raises:
        ValueError: see `lit_vlr.functional.box_iou_accuracy`.

    Example:
        >>> grounding_accuracy(["<box>(0,0),(499,999)</box>", "no"], [[0, 0, 50, 100], [0, 0, 9, 9]], [(100, 100)] * 2)
        tensor(0.5000, dtype=torch.float64)
    """
    return box_iou_accuracy(_boxes(answers, sizes), targets, iou_threshold)


def grounding_overlaps(
    answers: Sequence[str], targets: Sequence[Sequence[float]], sizes: Sequence[tuple[int, int]]
) -> Tensor:
    """Overlap of each answer's first box with its target, (N,) in [0, 1]; see `grounding_accuracy`."""
    return box_iou(_boxes(answers, sizes), targets)


def _boxes(answers: Sequence[str], sizes: Sequence[tuple[int, int]]) -> list[tuple[float, float, float, float]]:
    return [first_box(answer, width, height) for answer, (width, height) in zip(answers, sizes, strict=True)]
