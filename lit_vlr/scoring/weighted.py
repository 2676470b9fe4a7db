"""Every selective metric of the same answers under many weightings at once.

The bootstrap weighs rows instead of copying them: a picture that is drawn twice weighs its rows twice, which all of
these metrics take for the rows given twice. So the rows are sorted once, and a thousand resamples are one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lit_vlr.functional._tied_blocks import TiedBlocks, weighted_blocks
from lit_vlr.functional._validation import check_confidence, check_correctness
from lit_vlr.functional.calibration import ace_of, bins_of, ece_of
from lit_vlr.functional.operating_point import answer_rewards, largest_coverage, risk_from
from lit_vlr.functional.ranking import excess_area, rejection_ratio, roc_area_under
from lit_vlr.functional.risk_coverage import AURCConvention, area_under, generalised_area_under
from lit_vlr.scoring.words import Ratio

Floats: TypeAlias = npt.NDArray[np.float64]
N_BINS = 15  # of the calibration errors, the default of their functions


@dataclass(frozen=True)
class Answers:
    """Labelled answers as columns, in the order of the file.

    Attributes:
        uids: whose answers, N of them.
        images: what they are about, N of them.
        confidence: (N,); None where the file has none.
        correctness: (N,).
        abstained: 1 where the answer is withheld, (N,).
        declined: 1 where it is withheld under any threshold, since it declines in words, (N,); nowhere by default. By
            the convention of `lit_vlr.functional.risk_coverage` such a row counts, and is given last, with loss 1.
        calibrated: what a calibrator makes of the confidence, (N,); None where there is none.
        group: labels of the rows, N of them; None where nobody asked.
        words: scores of the words alone, by name; see `lit_vlr.scoring.words`.
    """

    uids: list[str]
    images: list[str]
    confidence: Floats | None
    correctness: Floats
    abstained: Floats
    calibrated: Floats | None = None
    declined: Floats | None = None
    group: list[str] | None = None
    words: Mapping[str, Ratio] = field(default_factory=dict)

    @property
    def probability(self) -> Floats | None:
        """What calibration is measured of: the calibrated confidence, or else a confidence in [0, 1]; else None.

        What was declined in words claims nothing.
        """
        claimed = self.confidence if self.calibrated is None else self.calibrated
        if claimed is None:
            return None
        answers = claimed if self.declined is None else claimed[self.declined == 0]
        return claimed if bool(((answers >= 0) & (answers <= 1)).all()) else None

    def rows(self, chosen: npt.NDArray[np.int64]) -> Answers:
        """Some of the rows, or all in another order."""
        return replace(
            self,
            uids=[self.uids[i] for i in chosen],
            images=[self.images[i] for i in chosen],
            confidence=None if self.confidence is None else self.confidence[chosen],
            correctness=self.correctness[chosen],
            abstained=self.abstained[chosen],
            calibrated=None if self.calibrated is None else self.calibrated[chosen],
            declined=None if self.declined is None else self.declined[chosen],
            group=None if self.group is None else [self.group[i] for i in chosen],
            words={name: ratio.rows(chosen) for name, ratio in self.words.items()},
        )


class Weighted:
    """Answers under R weightings of their rows: what the metrics are computed from, each part made once.

    Areas run to full coverage: they are of blocks that are `forced`.

    Args:
        answers: N of them.
        weights: how often each row counts, whole numbers, (R, N).
    """

    def __init__(self, answers: Answers, weights: npt.NDArray[np.int64]) -> None:
        self.weights = torch.from_numpy(weights.astype(np.float64))
        self.correctness = check_correctness(answers.correctness)
        self.answered = 1 - torch.from_numpy(answers.abstained)
        none = torch.zeros_like(self.answered)
        self.declined = none if answers.declined is None else torch.from_numpy(answers.declined)
        self.confidence = None if answers.confidence is None else check_confidence(answers.confidence)
        self.probability = None if answers.probability is None else torch.from_numpy(answers.probability)

    def mean(self, column: Tensor, among: Tensor | None = None) -> Tensor:
        """Weighted mean of a column (N,) over all rows, or those that ``among`` marks; NaN over none, (R,)."""
        counted = torch.ones_like(column) if among is None else among
        return (self.weights @ (counted * column)) / (self.weights @ counted)

    @cached_property
    def achieved(self) -> TiedBlocks:
        """Losses, the surest first, (R, K)."""
        assert self.confidence is not None
        return weighted_blocks(self.confidence, 1 - self.correctness, self.weights, self.declined)

    @cached_property
    def best(self) -> TiedBlocks:
        """Losses in their best order, (R, K)."""
        accuracy = self.correctness * (1 - self.declined)
        return weighted_blocks(accuracy, 1 - accuracy, self.weights)


Metric: TypeAlias = Callable[[Weighted], Tensor]
"""One number a weighting, (R,)."""


def _undefined(rows: Weighted) -> Tensor:
    return torch.full((len(rows.weights),), torch.nan, dtype=torch.float64)


def _of_order(metric: Metric) -> Metric:
    """A metric of the order that confidences give; NaN where there are no confidences."""
    return lambda rows: _undefined(rows) if rows.confidence is None else metric(rows)


def _of_probability(metric: Callable[[Weighted, Tensor], Tensor]) -> Metric:
    """A metric of confidences that claim to be probabilities; NaN for margins, entropies and other scores."""
    return lambda rows: _undefined(rows) if rows.probability is None else metric(rows, rows.probability)


def reliability(cost: float) -> Metric:
    """Effective reliability of decisions that are made already."""
    return lambda rows: rows.mean(rows.answered * answer_rewards(rows.correctness, cost))


def _area(convention: AURCConvention) -> Metric:
    return _of_order(lambda rows: area_under(rows.achieved.forced(), convention))


def coverage_at(max_risk: float) -> Metric:
    """The largest coverage that keeps a risk, by the best threshold on these very answers."""
    return _of_order(lambda rows: largest_coverage(rows.achieved, max_risk))


def _risk_at(coverage: float) -> Metric:
    return _of_order(lambda rows: risk_from(rows.achieved, coverage))


def _calibration_error(rows: Weighted, probability: Tensor) -> Tensor:
    claims = rows.declined == 0
    weights, probability = rows.weights[:, claims], probability[claims]
    in_bin = torch.nn.functional.one_hot(bins_of(probability, N_BINS), N_BINS)
    gaps = weights @ (in_bin * (probability - rows.correctness[claims])[:, None])
    return ece_of(torch.cat([weights.sum(1, keepdim=True), gaps], dim=1))


def _adaptive_error(rows: Weighted, probability: Tensor) -> Tensor:
    blocks = weighted_blocks(probability, probability - rows.correctness, rows.weights, rows.declined)
    each = (TiedBlocks(*one) for one in zip(*blocks, strict=True))
    return torch.stack([ace_of(one, N_BINS) for one in each])


METRICS: dict[str, Metric] = {
    "accuracy": lambda rows: rows.mean(rows.correctness),
    "abstention_rate": lambda rows: rows.mean(1 - rows.answered),
    "selective_accuracy": lambda rows: rows.mean(rows.correctness, among=rows.answered),
    **{f"effective_reliability@{cost:g}": reliability(cost) for cost in (1, 10, 100)},
    "aurc": _area("mean"),
    "aurc_trapezoid": _area("trapezoid"),
    "aurc_geifman": _area("geifman"),
    "excess_aurc": _of_order(
        lambda rows: excess_area(rows.achieved.forced(), rows.best, partial(area_under, convention="mean"))
    ),
    "augrc": _of_order(lambda rows: generalised_area_under(rows.achieved.forced())),
    "excess_augrc": _of_order(lambda rows: excess_area(rows.achieved.forced(), rows.best, generalised_area_under)),
    "auroc": _of_order(lambda rows: roc_area_under(rows.achieved.forced())),
    "expected_calibration_error": _of_probability(_calibration_error),
    "adaptive_calibration_error": _of_probability(_adaptive_error),
    "brier_score": _of_probability(
        lambda rows, stated: rows.mean((stated - rows.correctness).square(), among=1 - rows.declined)
    ),
    "prediction_rejection_ratio": _of_order(lambda rows: rejection_ratio(rows.achieved.forced(), rows.best)),
    **{f"coverage_at_risk@{r:g}": coverage_at(r) for r in (0.01, 0.05, 0.1, 0.2)},
    **{f"risk_at_coverage@{c:g}": _risk_at(c) for c in (0.5, 0.8)},
}
"""By name. The first six are of the decisions in force, the others of the confidences."""

_RISING = ("accuracy", "selective", "effective", "auroc", "prediction_rejection", "coverage_at_risk")
HIGHER_IS_BETTER: dict[str, bool | None] = {
    name: None if name == "abstention_rate" else name.startswith(_RISING) for name in METRICS
}
"""Direction of each; None where neither end is better."""
