"""Pictures that are trained on and tested on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from lit_vlr.data.splits import ImageKey
from lit_vlr.errors import UserError


class Overlap(NamedTuple):
    """Pictures of an evaluation set that training has seen.

    Attributes:
        name: of the evaluation set.
        images: how many of its pictures.
        of: how many it has.
        examples: up to five of them.
    """

    name: str
    images: int
    of: int
    examples: tuple[str, ...]


class LeakageError(UserError):
    """An evaluation set shares pictures with the training set."""


def find_overlaps(trained: Iterable[ImageKey], evaluated: Mapping[str, Iterable[ImageKey]]) -> list[Overlap]:
    """What each evaluation set shares with the training set, by image id within one collection of pictures.

    COCO's ids are one collection for OK-VQA, VQAv2, A-OKVQA, AdVQA, POPE and RefCOCO, whatever the year of the split.
    Pictures of different collections are never taken for the same, though half of Visual Genome (GQA) is COCO.

    Args:
        trained: keys of the training pictures.
        evaluated: the keys of each evaluation set, by its name.
    """
    seen = set(trained)
    found = []
    for name, keys in evaluated.items():
        pictures = set(keys)
        both = sorted(pictures & seen)
        if both:
            found.append(Overlap(name, len(both), len(pictures), tuple(f"{a} {b}".strip() for a, b in both[:5])))
    return found


def refuse_overlaps(overlaps: Collection[Overlap], allowed: Collection[str]) -> list[str]:
    """Refuse evaluation sets that training has seen, unless they are allowed by name.

    Args:
        overlaps: what was found.
        allowed: names of evaluation sets.

    Returns:
        What is allowed, in words, to be told to the user.

    Raises:
        LeakageError: naming each set, how much of it was seen, and examples.
    """
    said = {
        overlap.name: f"{overlap.name}: {overlap.images} of {overlap.of} pictures ({', '.join(overlap.examples)}"
        f"{', …' if overlap.images > len(overlap.examples) else ''})"
        for overlap in overlaps
    }
    refused = [text for name, text in said.items() if name not in allowed]
    if refused:
        names = [name for name in said if name not in allowed]
        raise LeakageError(
            f"Expected no picture in both training and evaluation but training has seen {'; '.join(refused)}; leave "
            f"those pictures out of training, or say that it is meant with `allow_overlap: [{', '.join(names)}]`"
        )
    return list(said.values())
