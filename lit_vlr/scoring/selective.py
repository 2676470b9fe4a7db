"""Every selective metric of a set of answers, with intervals by picture, and the difference between two sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lit_vlr.calibration import Calibrator
from lit_vlr.functional import Interval, PairedDifference
from lit_vlr.functional.bootstrap import GroupResampler, align
from lit_vlr.functional.groups import Label, worst_of
from lit_vlr.scoring import weighted, words
from lit_vlr.scoring.weighted import METRICS, Answers, Floats, Weighted
from lit_vlr.scoring.words import Ratio
from lit_vlr.types import Prediction

__all__ = ["HIGHER_IS_BETTER", "METRICS", "Answers", "GroupScores", "answers_of", "compare", "score", "score_groups"]

HIGHER_IS_BETTER: dict[str, bool | None] = weighted.HIGHER_IS_BETTER | words.HIGHER_IS_BETTER
"""Direction of each score by name, in the order in which they are shown; None where neither end is better."""


class GroupScores(NamedTuple):
    """Every metric group by group.

    Attributes:
        sizes: rows of each group.
        values: metrics by group, then by name.
        worst: label and value of the worst group by metric; none for a metric without a direction.
    """

    sizes: dict[str, int]
    values: dict[str, dict[str, float]]
    worst: dict[str, tuple[str, float]]


def answers_of(
    predictions: Sequence[Prediction],
    threshold: float | None = None,
    calibrator: Calibrator | None = None,
    by: str | None = None,
    word_scores: Mapping[str, Ratio] | None = None,
) -> Answers:
    """Columns of labelled predictions.

    Args:
        predictions: each with an accuracy; confidences of all, or NaN for all where none were given.
        threshold: decides anew which are withheld, +inf all, beside those that decline in words; None keeps the
            decisions that were recorded.
        calibrator: says anew what the confidences mean; None keeps what was recorded.
        by: the entry of ``metadata`` that groups the rows.
        word_scores: of the same answers, by :func:`~lit_vlr.scoring.words.word_scores`.

    Raises:
        ValueError: for a threshold or a calibrator where there are no confidences, a confidence that the calibrator
            does not take, or rows without the entry ``by``.
    """
    confidence = np.array([p.confidence for p in predictions], dtype=np.float64)
    known = not bool(np.isnan(confidence).all())
    if not known and not (threshold is None and calibrator is None):
        raise ValueError("Expected confidences to compare with the threshold but the answers have none")
    recorded = np.array([math.nan if p.calibrated is None else p.calibrated for p in predictions], dtype=np.float64)
    calibrated = None if bool(np.isnan(recorded).any()) else recorded
    if calibrator is not None:
        calibrated = calibrator(confidence).numpy()
    abstained = np.array([p.abstained for p in predictions], dtype=np.float64)
    declined = np.array([p.declined for p in predictions], dtype=np.float64)
    return Answers(
        uids=[p.uid for p in predictions],
        images=[p.image_id for p in predictions],
        confidence=confidence if known else None,
        correctness=np.array([p.accuracy for p in predictions], dtype=np.float64),
        abstained=abstained if threshold is None else np.maximum(_withheld(confidence, threshold), declined),
        declined=declined,
        calibrated=calibrated,
        group=None if by is None else [_label(p, by) for p in predictions],
        words=word_scores or {},
    )


def score(answers: Answers, n_resamples: int = 500) -> dict[str, Interval]:
    """Every score with its 95% bootstrap interval, pictures resampled; NaN where it is not defined."""
    resampler = GroupResampler(answers.images, len(answers.images), n_resamples)
    values, resampled = _values(answers), _resampled(answers, resampler)
    return {name: resampler.interval(value, resampled[name]) for name, value in values.items()}


def compare(first: Answers, second: Answers, n_resamples: int = 500) -> dict[str, PairedDifference]:
    """Every score that both have of the first minus that of the second, on the same resampled pictures.

    Raises:
        ValueError: if the two are not about the same questions on the same pictures.
    """
    second = second.rows(align(first.uids, second.uids, len(first.uids), len(second.uids)))
    for uid, one, other in zip(first.uids, first.images, second.images, strict=True):
        if one != other:
            raise ValueError(
                f"Expected both sets to have question {uid} on one picture but got {one} and {other}; pictures are "
                "what is resampled: score the sets apart"
            )
    resampler = GroupResampler(first.images, len(first.images), n_resamples)
    value, subtracted = _values(first), _values(second)
    resampled, others = _resampled(first, resampler), _resampled(second, resampler)
    return {
        name: resampler.difference(value[name] - subtracted[name], resampled[name] - others[name])
        for name in value
        if name in subtracted
    }


def score_groups(answers: Answers) -> GroupScores:
    """Every metric group by group, and which group is the worst; a value that is not defined is the worst there is.

    Raises:
        ValueError: if the answers have no groups.
    """
    if answers.group is None:
        raise ValueError("Expected `answers` with groups but got none; pass `by` to `answers_of`")
    labels = np.array(answers.group)
    names: list[str] = np.unique(labels).tolist()
    values = {name: _values(answers.rows((labels == name).nonzero()[0])) for name in names}
    worst = {}
    for metric in values[names[0]]:
        higher = HIGHER_IS_BETTER[metric]
        if higher is not None:
            found: dict[Label, torch.Tensor] = {name: torch.tensor(values[name][metric]) for name in names}
            label = str(worst_of(found, higher)[0])
            worst[metric] = (label, values[label][metric])
    return GroupScores({name: int((labels == name).sum()) for name in names}, values, worst)


def _values(answers: Answers) -> dict[str, float]:
    return {name: float(value[0]) for name, value in _table(answers, np.ones((1, len(answers.uids)), np.int64)).items()}


def _resampled(answers: Answers, resampler: GroupResampler) -> Mapping[str, Floats]:
    """Every score on every resample, (n_resamples,) each."""
    tables = [_table(answers, weights) for weights in resampler.weights()]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _table(answers: Answers, weights: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Every score under R weightings of the rows (R, N), (R,) each: the selective metrics, then those of the words."""
    rows = Weighted(answers, weights)
    counted = weights.astype(np.float64)
    return {
        **{name: metric(rows).numpy() for name, metric in METRICS.items()},
        **{name: ratio.under(counted) for name, ratio in answers.words.items()},
    }


def _withheld(confidence: Floats, threshold: float) -> Floats:
    """1 where a threshold abstains; +inf abstains on all, even on confidences of +inf."""
    return ((confidence < threshold) | (threshold == math.inf)).astype(np.float64)


def _label(prediction: Prediction, by: str) -> str:
    if by not in prediction.metadata:
        raise ValueError(
            f"Expected every answer to have {by!r} but {prediction.uid} has {sorted(prediction.metadata)}; group by "
            "one of those"
        )
    return str(prediction.metadata[by])
