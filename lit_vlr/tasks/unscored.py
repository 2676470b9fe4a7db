"""Benchmarks that somebody else scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.types import AnswerMetric, Sample


@dataclass(frozen=True)
class Unscored(AnswerMetric):
    """GRIT (a server) and TouchStone (judged by GPT-4): answers are exported, nothing is scored here."""

    name = "unscored"

    def labelled(self, sample: Sample) -> bool:
        """Nothing is asked of the labels."""
        return True

    def score(self, answer: str, sample: Sample, dialect: VQADialect) -> None:
        """None."""

    def summary(self, answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect) -> dict[str, float]:
        """No figures."""
        return {}
