"""Captions, which only a whole set can score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lit_vlr.functional import cider
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.types import AnswerMetric, Sample


@dataclass(frozen=True)
class Captions(AnswerMetric):
    """CIDEr-D of Flickr30k and NoCaps, times 100 as papers print it; see `lit_vlr.functional.cider`."""

    name = "cider"

    def score(self, answer: str, sample: Sample, dialect: VQADialect) -> None:
        """None: how telling a word is depends on all the references of the set."""

    def summary(self, answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect) -> dict[str, float]:
        """CIDEr-D over the set."""
        said = {sample.uid: answer for sample, answer in zip(samples, answers, strict=True)}
        return {self.name: 100 * cider(said, {sample.uid: sample.answers for sample in samples}).mean}
