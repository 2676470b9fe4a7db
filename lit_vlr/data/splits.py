"""Parts of a set that share no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from lit_vlr.errors import UserError
from lit_vlr.types import Sample

ImageKey: TypeAlias = tuple[str, str]
"""Which picture it is, in which collection: equal keys are one picture."""

HELD = "held"
"""The test set that a fold left out becomes."""


def image_key(sample: Sample) -> ImageKey:
    """The key of a sample's picture."""
    return sample.image_source, sample.image_id


class Parts(NamedTuple):
    """A set in two parts, each in the order of the set."""

    rest: list[Sample]
    held: list[Sample]


def split_by_image(samples: Sequence[Sample], fraction: float, seed: int) -> Parts:
    """Hold back about a fraction of the samples, with all the questions on each picture.

    Args:
        samples: the set.
        fraction: of the samples to hold back, in (0, 1).
        seed: of the choice of pictures.

    Returns:
        Two parts, both with samples, no picture in both. The part held back is smaller than asked for by less than the
        questions on one picture.

    Raises:
        UserError: if the fraction is out of range, or leaves one part empty.
    """
    if not 0 < fraction < 1:
        raise UserError(f"Expected `fraction` between 0 and 1 but got {fraction}")
    counts = Counter(map(image_key, samples))
    room = round(fraction * len(samples))
    held: set[ImageKey] = set()
    for key in _shuffled(list(counts), seed):
        if counts[key] > room:
            continue
        held.add(key)
        room -= counts[key]
        if room == 0:
            break
    parts = Parts([s for s in samples if image_key(s) not in held], [s for s in samples if image_key(s) in held])
    if not parts.rest or not parts.held:
        raise UserError(
            f"Expected to hold {fraction:.3g} of {len(samples)} samples on {len(counts)} pictures back, whole pictures "
            "only, but that leaves one part empty; change the fraction, or give a set of its own"
        )
    return parts


def k_folds(samples: Sequence[Sample], k: int, seed: int) -> list[list[Sample]]:
    """Cut a set into k parts of about one size that share no picture: for learning from peers that never saw a picture.

    Args:
        samples: the set.
        k: number of parts, at least 2.
        seed: of the assignment of pictures.

    Returns:
        k parts, each in the order of the set; their sizes differ by at most the most questions on one picture.

    Raises:
        UserError: if there are fewer pictures than parts, or ``k`` is below 2.
    """
    return [[samples[place] for place in places] for places in folds_of_keys([*map(image_key, samples)], k, seed)]


def folds_of_keys(keys: Sequence[ImageKey], k: int, seed: int) -> list[list[int]]:
    """`k_folds` of samples that need not be read for it: places of the samples instead of them.

    Args:
        keys: the picture of each sample of a set.
        k: number of parts, at least 2.
        seed: of the assignment of pictures.

    Raises:
        UserError: as `k_folds`.
    """
    counts = Counter(keys)
    if not 2 <= k <= len(counts):
        raise UserError(f"Expected `folds` from 2 to the number of pictures, {len(counts)}, but got {k}")
    sizes = [0] * k
    fold_of: dict[ImageKey, int] = {}
    for key in _shuffled(list(counts), seed):
        fold = min(range(k), key=sizes.__getitem__)  # the smallest so far
        fold_of[key] = fold
        sizes[fold] += counts[key]
    folds: list[list[int]] = [[] for _ in range(k)]
    for place, key in enumerate(keys):
        folds[fold_of[key]].append(place)
    return folds


def _shuffled(keys: list[ImageKey], seed: int) -> list[ImageKey]:
    return [keys[i] for i in np.random.default_rng(seed).permutation(len(keys))]


def check_fold(folds: int, fold: int) -> None:
    """Refuse a number of folds that cuts nothing, and a fold that is none of so many.

    Raises:
        UserError: if they are that.
    """
    if folds and folds < 2:
        raise UserError(f"Expected `data.folds` of at least 2, or 0 for none, but got {folds}; 5 or 10 are usual")
    if folds and not 0 <= fold < folds:
        raise UserError(f"Expected `data.fold` from 0 to {folds - 1} but got {fold}; folds are counted from 0")
