"""Which of ten answers a row is trained on."""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np

from lit_vlr.types import Sample


def majority(sample: Sample) -> str:
    """The answer given most often; the first of equals in the annotators' order.

    >>> majority(Sample("u", None, "i", "q", ("wood", "stone", "stone")))
    'stone'
    """
    return Counter(sample.answers).most_common(1)[0][0] if sample.answers else ""


def sampled(sample: Sample, seed: int) -> str:
    """One annotator's answer, drawn by (seed, uid): answers are trained on as often as they are given."""
    if not sample.answers:
        return ""
    rng = np.random.default_rng([seed, zlib.crc32(sample.uid.encode())])
    return sample.answers[rng.integers(len(sample.answers))]
