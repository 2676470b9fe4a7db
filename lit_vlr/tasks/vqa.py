"""Soft accuracies over what several annotators said."""

from __future__ import annotations

from dataclasses import dataclass

from lit_vlr.functional import exact_match, vqa_accuracy
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.exact_match import ExactMatchNormalization
from lit_vlr.tasks.base import PerAnswer
from lit_vlr.types import Sample


@dataclass(frozen=True)
class VQAAccuracy(PerAnswer):
    """`lit_vlr.functional.vqa_accuracy`: OK-VQA, VQAv2, AdVQA, VizWiz, TextVQA."""

    name = "vqa_accuracy"

    def labelled(self, sample: Sample) -> bool:
        """Whether two annotators answered: one alone has nobody to agree with."""
        return len(sample.answers) > 1

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """Leave-one-out soft accuracy in the dialect."""
        return vqa_accuracy(answer, sample.answers, dialect=dialect)


@dataclass(frozen=True)
class DirectAnswers(PerAnswer):
    r"""Direct answers of A-OKVQA: ``min(1, matches / 3)`` over all ten, nobody left out.

    Texts are compared as they are, like the official script does; it was made for a fixed vocabulary, and gives "Cat."
    nothing where everybody said "cat".

    Args:
        normalization: see `lit_vlr.functional.exact_match`; ``none`` is the official one.

    Reference:
        Schwenk et al., "A-OKVQA: A Benchmark for Visual Question Answering using World Knowledge", ECCV 2022,
        Section 5.
    """

    normalization: ExactMatchNormalization = "none"
    name = "direct_answers"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0, 1/3, 2/3 or 1."""
        return min(1.0, sum(exact_match(answer, said, self.normalization) for said in sample.answers) / 3)
