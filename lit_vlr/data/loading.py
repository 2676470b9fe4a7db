"""From samples to batches: what is asked, which answer is trained on, and pictures that are decoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from lit_vlr.data.images import load_pixels
from lit_vlr.data.targets import majority, sampled
from lit_vlr.types import Batch, ImageRef, Sample

Collate: TypeAlias = Callable[[Sequence[Sample], Sequence[str]], Batch]
Target: TypeAlias = Literal["majority", "sampled"]


class ImageCache:
    """Decoded pictures, the least recently used of which go first; one a worker process.

    Args:
        max_bytes: how much may be kept; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.held = max_bytes, 0
        self._pictures: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def __getstate__(self) -> dict[str, int]:
        return {"max_bytes": self.max_bytes}  # a worker starts with an empty one of its own

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, image: ImageRef, uid: str) -> ImageRef:
        """The picture as an array, decoded or from the cache; arrays, and what does not fit, stay as they are."""
        if isinstance(image, np.ndarray) or not self.max_bytes:
            return image
        # What makes a picture may make another one for each sample: noise is drawn by uid.
        key = image if isinstance(image, Path) else (image, uid)
        try:
            known = self._pictures.get(key)
        except TypeError:  # made of an array, which has no hash
            return image
        if known is not None:
            self._pictures.move_to_end(key)
            return known
        pixels = load_pixels(image, uid)
        if pixels.nbytes > self.max_bytes:
            return pixels
        self._pictures[key] = pixels
        self.held += pixels.nbytes
        while self.held > self.max_bytes:
            _, dropped = self._pictures.popitem(last=False)
            self.held -= dropped.nbytes
        return pixels


class TaskCollate:
    """Puts each question in the words of its task, chooses the answer to train on, and hands over to the family.

    Picklable, for workers. The batch keeps references to the pictures and not the arrays of the cache, which would
    travel between processes a second time.
    """

    def __init__(self, collate: Collate, target: Target, seed: int, cache_bytes: int = 0) -> None:
        self.collate, self.target, self.seed = collate, target, seed
        self.cache = ImageCache(cache_bytes)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Lay out a batch."""
        asked = [sample.as_asked() for sample in samples]
        shown = [self._shown(sample) for sample in asked]
        batch = self.collate(shown, [self._target(sample) for sample in samples])
        return replace(batch, samples=tuple(asked))

    def _shown(self, sample: Sample) -> Sample:
        image = self.cache(sample.image, sample.uid)
        return sample if image is sample.image else replace(sample, image=image)

    def _target(self, sample: Sample) -> str:
        return majority(sample) if self.target == "majority" else sampled(sample, self.seed)
