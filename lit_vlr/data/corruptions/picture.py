"""A picture that is corrupted when it is loaded."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from lit_vlr.data.corruptions.kinds import Corruption, Severity, corrupt
from lit_vlr.data.images import load_pixels
from lit_vlr.types import ImageRef


@dataclass(frozen=True)
class CorruptedPicture:
    """A picture that is corrupted when it is loaded; see `lit_vlr.types.PictureSource`.

    Attributes:
        image: the clean one.
        corruption: which kind.
        severity: 1 to 5.
        seed: beside the uid, what everything random comes from.
    """

    image: ImageRef
    corruption: Corruption
    severity: Severity
    seed: int

    def pixels(self, uid: str) -> np.ndarray:
        """The corrupted picture of a sample."""
        key = zlib.crc32(f"{self.corruption}/{self.severity}/{uid}".encode())
        generator = np.random.default_rng([self.seed, key])
        return corrupt(load_pixels(self.image, uid), self.corruption, self.severity, generator)
