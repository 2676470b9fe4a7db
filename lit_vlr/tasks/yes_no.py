"""Yes/no questions: POPE, and MME with its pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from lit_vlr.functional import parse_yes_no, pope_scores
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.tasks.base import PerAnswer
from lit_vlr.types import Sample

COGNITION = frozenset({"code_reasoning", "commonsense_reasoning", "numerical_calculation", "text_translation"})
"""The subtasks that MME counts as cognition; all others are perception."""


@dataclass(frozen=True)
class YesNo(PerAnswer):
    """POPE: right or wrong by `lit_vlr.functional.parse_yes_no`; the set's figures by `pope_scores`."""

    name = "yes_no"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0 or 1; declining is 0."""
        return float(parse_yes_no(answer) == sample.answers[0])

    def summary(self, answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect) -> dict[str, float]:
        """Accuracy, precision, recall, F1 and yes-ratio over what was answered, and how often nothing was."""
        return pope_scores(answers, [sample.answers[0] for sample in samples])._asdict()


@dataclass(frozen=True)
class MMEScore(PerAnswer):
    """MME: percent of right answers plus percent of pictures with both answers right, summed over the subtasks.

    Reference:
        Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models", arXiv 2306.13394,
        Section 2.3.
    """

    name = "mme"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0 or 1; declining is 0."""
        return float(parse_yes_no(answer) == sample.answers[0])

    def summary(self, answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect) -> dict[str, float]:
        """Perception and cognition, then each subtask out of 200; subtasks that are not there count 0."""
        right: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for answer, sample in zip(answers, samples, strict=True):
            right[sample.metadata["category"]][sample.image_id].append(self.worth(answer, sample, dialect))
        scores = {}
        for category, pictures in sorted(right.items()):
            accuracy = fmean(score for pair in pictures.values() for score in pair)
            scores[category] = 100 * (accuracy + fmean(min(pair) for pair in pictures.values()))
        return {
            "perception": sum(score for category, score in scores.items() if category not in COGNITION),
            "cognition": sum(score for category, score in scores.items() if category in COGNITION),
            **scores,
        }
