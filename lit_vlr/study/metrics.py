"""What a study reports of one arm on one set, under many weightings of the pictures at once, over its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from lit_vlr.functional._tied_blocks import weighted_blocks, with_origin
from lit_vlr.functional.operating_point import answer_rewards
from lit_vlr.scoring.weighted import METRICS, Floats, Weighted, coverage_at
from lit_vlr.study.answered import Scored

Integers: TypeAlias = npt.NDArray[np.int64]


def metrics_of(
    seeds: Sequence[Scored], weights: Integers, max_risk: float, costs: Sequence[float]
) -> dict[str, Floats]:
    r"""Every figure of an arm on a set, its seeds together, under R weightings of the rows.

    Most are means over the seeds: confidences of two fits are not of one scale, so they are never ranked together. Risk
    is that of all answers given, whoever gave them,

    .. math:: r = \frac{\sum_s \sum_i g_{si} (1 - a_{si})}{\sum_s \sum_i g_{si}},

    so that a seed which answers nothing does not leave it undefined.

    Args:
        seeds: the same rows under each seed, with its thresholds.
        weights: how often each row counts, (R, N).
        max_risk: what the threshold was to keep.
        costs: prices of a wrong answer.

    Returns:
        By name, (R,) each; NaN where nothing is answered:

        ``accuracy``, ``coverage``, ``abstention_rate``, ``risk`` (among the answered, at the frozen threshold),
        ``aurc`` (mean convention), ``effective_reliability@c`` (at the threshold that the calibration split has for
        that cost, frozen as well), ``coverage_at_risk@r`` (by the best threshold on this
        very set), ``violation`` (risk minus ``max_risk``: positive where the promise is broken),
        ``oracle_coverage_gap`` (coverage at risk minus coverage: negative where more is answered than the promise
        allows), ``oracle_reliability_gap@c`` (the best threshold's reliability minus that of the frozen one, never
        negative).
    """
    each = [_one_seed(scored, weights, max_risk, costs) for scored in seeds]
    mean = {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}
    wrong = mean.pop("answered_and_wrong")
    with np.errstate(invalid="ignore"):
        risk = wrong / mean["coverage"]
    own = ("accuracy", "coverage", "abstention_rate")
    gap = mean[f"coverage_at_risk@{max_risk:g}"] - mean["coverage"]
    decided = {"risk": risk, "violation": risk - max_risk}
    rest = {name: value for name, value in mean.items() if name not in own}
    return {**{name: mean[name] for name in own}, **decided, **rest, "oracle_coverage_gap": gap}


def _one_seed(scored: Scored, weights: Integers, max_risk: float, costs: Sequence[float]) -> dict[str, Floats]:
    rows = Weighted(scored.answers, weights)
    found = {name: METRICS[name](rows) for name in ("accuracy", "abstention_rate", "aurc")}
    found["coverage"] = rows.mean(rows.answered)
    found["answered_and_wrong"] = rows.mean(rows.answered * (1 - rows.correctness))
    found[f"coverage_at_risk@{max_risk:g}"] = coverage_at(max_risk)(rows)
    for cost in costs:
        realised = rows.mean(_answered(rows, scored, cost) * answer_rewards(rows.correctness, cost))
        found[f"effective_reliability@{cost:g}"] = realised
        found[f"oracle_reliability_gap@{cost:g}"] = best_reliability(rows, cost) - realised
    return {name: value.numpy() for name, value in found.items()}


def _answered(rows: Weighted, scored: Scored, cost: float) -> torch.Tensor:
    """Which rows are answered at that price, (N,); those of the threshold in force where no other was chosen."""
    threshold = scored.by_cost.get(cost)
    if threshold is None or rows.confidence is None:
        return rows.answered
    return ((rows.confidence >= threshold) & (threshold < math.inf)).double() * (1 - rows.declined)


def best_reliability(rows: Weighted, cost: float) -> torch.Tensor:
    """Effective reliability at the best threshold on these very rows, (R,); at least 0, for it may abstain on all."""
    assert rows.confidence is not None  # predictions of lit_vlr have confidences
    rewards = weighted_blocks(rows.confidence, answer_rewards(rows.correctness, cost), rows.weights, rows.declined)
    return with_origin(rewards.value / rewards.total[..., None]).amax(-1)
