"""Metrics of single answers, and scoring without knowing which metric a sample has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from statistics import fmean

from lit_vlr.errors import UserError
from lit_vlr.functional import vqa_accuracy
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.types import AnswerMetric, Sample


class PerAnswer(AnswerMetric):
    """A metric whose figure for a set is the mean over its answers."""

    @abstractmethod
    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """The worth of an answer to a labelled sample, in [0, 1]."""

    def score(self, answer: str, sample: Sample, dialect: VQADialect) -> float | None:
        """`worth`; None where there are no labels."""
        return self.worth(answer, sample, dialect) if self.labelled(sample) else None

    def summary(self, answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect) -> dict[str, float]:
        """The mean."""
        scores = [self.worth(answer, sample, dialect) for answer, sample in zip(answers, samples, strict=True)]
        return {self.name: fmean(scores)}


def score_answer(answer: str, sample: Sample, dialect: VQADialect) -> float | None:
    """What an answer is worth by the sample's own metric, or by VQA accuracy where it has none.

    Args:
        answer: the generated text.
        sample: what it answers.
        dialect: of VQA accuracy, for the metrics that know several.

    Returns:
        A number in [0, 1]; None where the sample has no labels, or its metric needs the whole set.
    """
    if sample.task is not None:
        return sample.task.metric.score(answer, sample, dialect)
    return vqa_accuracy(answer, sample.answers, dialect=dialect) if sample.answers else None


def answer_limits(samples: Sequence[Sample], default: int) -> list[int]:
    """How many tokens each answer may have: what the sample's task says, or a default where it has none."""
    return [default if sample.task is None else sample.task.max_new_tokens for sample in samples]


def summarise(answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect = "no_skip") -> dict[str, float]:
    """A benchmark's own figures for answers to a whole set.

    Args:
        answers: what was generated, in row order.
        samples: what it answers; all with one metric, and all labelled.
        dialect: of VQA accuracy.

    Returns:
        Figures by name: ``vqa_accuracy``; accuracy, F1 and more of yes/no questions; CIDEr; … Empty where the metric
        cannot be computed here (`Unscored`).

    Raises:
        UserError: if there are no samples, one has no labels, or they differ in their metrics.
    """
    if not samples:
        raise UserError("Expected answers to at least one sample but got none; was the set empty?")
    tasks = {sample.task for sample in samples}
    metrics = {None if task is None else task.metric for task in tasks}
    if len(metrics) > 1:
        names = sorted("vqa_accuracy" if metric is None else metric.name for metric in metrics)
        raise UserError(f"Expected samples of one metric but got {names}; summarise each benchmark by itself")
    (metric,) = metrics
    if metric is None:
        from lit_vlr.tasks.vqa import VQAAccuracy

        metric = VQAAccuracy()
    for sample in samples:
        if not metric.labelled(sample):
            raise UserError(
                f"Expected labels for {metric.name} but {sample.uid} has none; take a labelled split, or export the "
                "predictions with `lit-vlr data export`"
            )
    return metric.summary(answers, samples, dialect)
