"""Every selective metric of a set of answers, with intervals by picture, and the difference between two sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lit_vlr.functional import (
    Interval,
    PairedDifference,
    abstention_rate,
    adaptive_calibration_error,
    augrc,
    aurc,
    auroc,
    brier_score,
    coverage_at_risk,
    effective_reliability,
    excess_augrc,
    excess_aurc,
    expected_calibration_error,
    group_bootstrap,
    paired_difference,
    prediction_rejection_ratio,
    risk_at_coverage,
    selective_accuracy,
)
from lit_vlr.types import Prediction

_Floats: TypeAlias = npt.NDArray[np.float64]
Metric: TypeAlias = Callable[[_Floats, _Floats, _Floats], Any]
"""Of confidence, correctness and abstained, (N,) each."""


def _of_order(metric: Callable[..., Any], **given: Any) -> Metric:  # noqa: ANN401 - the metrics' own arguments
    """A metric that asks neither for a threshold nor for decisions."""
    return lambda confidence, correctness, _: metric(confidence, correctness, **given)


def _of_probability(metric: Callable[..., Any]) -> Metric:
    """A metric of confidences that claim to be probabilities; NaN for margins, entropies and other scores.

    A resample may lie in [0, 1] where the whole does not; the value is NaN then, and no interval is shown.
    """

    def probability(confidence: _Floats, correctness: _Floats, _: _Floats) -> Any:  # noqa: ANN401
        inside = confidence.min() >= 0 and confidence.max() <= 1
        return metric(confidence, correctness) if inside else np.nan

    return probability


def _of_decisions(confidence: _Floats, correctness: _Floats, abstained: _Floats, cost: float) -> Any:  # noqa: ANN401
    """Effective reliability of decisions that are made already: as confidences of 0 and 1."""
    return effective_reliability(1 - abstained, correctness, cost, threshold=0.5)


METRICS: dict[str, Metric] = {
    "accuracy": lambda _, correctness, __: correctness.mean(),
    "abstention_rate": lambda _, __, abstained: abstention_rate(abstained),
    "selective_accuracy": lambda _, correctness, abstained: selective_accuracy(correctness, abstained),
    **{f"effective_reliability@{cost:g}": partial(_of_decisions, cost=cost) for cost in (1, 10, 100)},
    "aurc": _of_order(aurc),
    "aurc_trapezoid": _of_order(aurc, convention="trapezoid"),
    "aurc_geifman": _of_order(aurc, convention="geifman"),
    "excess_aurc": _of_order(excess_aurc),
    "augrc": _of_order(augrc),
    "excess_augrc": _of_order(excess_augrc),
    "auroc": _of_order(auroc),
    "expected_calibration_error": _of_probability(expected_calibration_error),
    "adaptive_calibration_error": _of_probability(adaptive_calibration_error),
    "brier_score": _of_probability(brier_score),
    "prediction_rejection_ratio": _of_order(prediction_rejection_ratio),
    **{f"coverage_at_risk@{r:g}": _of_order(coverage_at_risk, max_risk=r) for r in (0.01, 0.05, 0.1, 0.2)},
    **{f"risk_at_coverage@{c:g}": _of_order(risk_at_coverage, coverage=c) for c in (0.5, 0.8)},
}
"""By name. The first six are of the decisions in force, the others of the order of the confidences."""


@dataclass(frozen=True)
class Answers:
    """Labelled answers as columns, in the order of the file.

    Attributes:
        uids: whose answers, (N,).
        images: what they are about, (N,).
        confidence: (N,).
        correctness: (N,).
        abstained: 1 where the answer is withheld, (N,).
    """

    uids: list[str]
    images: list[str]
    confidence: _Floats
    correctness: _Floats
    abstained: _Floats

    @property
    def columns(self) -> tuple[_Floats, _Floats, _Floats]:
        """What a metric takes."""
        return self.confidence, self.correctness, self.abstained


def answers_of(predictions: Sequence[Prediction], threshold: float | None = None) -> Answers:
    """Columns of labelled predictions.

    Args:
        predictions: each with an accuracy.
        threshold: decides anew which are withheld, +inf all; None keeps the decisions that were recorded.
    """
    confidence = np.array([p.confidence for p in predictions], dtype=np.float64)
    abstained = np.array([p.abstained for p in predictions], dtype=np.float64)
    return Answers(
        uids=[p.uid for p in predictions],
        images=[p.image_id for p in predictions],
        confidence=confidence,
        correctness=np.array([p.accuracy for p in predictions], dtype=np.float64),
        abstained=abstained if threshold is None else (confidence < threshold).astype(np.float64),
    )


def score(answers: Answers, n_resamples: int = 500) -> dict[str, Interval]:
    """Every metric with its 95% bootstrap interval, pictures resampled; NaN where it is not defined."""
    return {
        name: group_bootstrap(metric, *answers.columns, groups=answers.images, n_resamples=n_resamples)
        for name, metric in METRICS.items()
    }


def compare(first: Answers, second: Answers, n_resamples: int = 500) -> dict[str, PairedDifference]:
    """Every metric of the first minus that of the second, on the same resampled pictures.

    Raises:
        ValueError: if the two are not about the same questions.
    """
    return {
        name: paired_difference(
            metric,
            first.columns,
            second.columns,
            first_uids=first.uids,
            second_uids=second.uids,
            groups=first.images,
            n_resamples=n_resamples,
        )
        for name, metric in METRICS.items()
    }
