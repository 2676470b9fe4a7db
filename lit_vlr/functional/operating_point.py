"""One operating point instead of a whole curve: coverage at a risk, risk at a coverage, effective reliability.

Convention: a row is answered when ``confidence >= threshold``, and a threshold of +inf abstains on everything. A
threshold can only cut between tied blocks, so only those coverages are *realisable*. Choose thresholds on a
calibration split, never on the split that is reported.

Rows that the model declined in words (``abstained``) are answered at no threshold: they count in N, and earn and cost
nothing. Their ``confidence`` and ``correctness`` are ignored.

Results are float64 on the CPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lit_vlr.functional._sums import ratio
from lit_vlr.functional._tied_blocks import TiedBlocks, tied_blocks, with_origin
from lit_vlr.functional._validation import ArrayLike, SelectiveColumns, check_number, check_selective
from lit_vlr.functional.risk_coverage import loss_blocks

# Soft accuracies usually arrive in float32, where 1 - 0.9 is 0.1000000238: without slack, coverage at risk 0.1 of a
# model with accuracy 0.9 everywhere would be 0 instead of 1. Twice the rounding error of a float32 in [0, 1] covers it.
RISK_TOLERANCE = 1e-7
# Coverages and rewards are computed in float64 from start to end, so only its own rounding has to be forgiven.
ROUNDING_TOLERANCE = 1e-12


def coverage_at_risk(
    confidence: ArrayLike,
    correctness: ArrayLike,
    max_risk: float,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""Largest realisable coverage with risk at most ``max_risk``, in [0, 1]; higher is better.

    .. math:: \text{C@}R = \max \{c(t) : r(t) \le R\}, \quad 0 \text{ if there is no such } t

    Scanned from full coverage down: risk is not monotone in coverage, and the most confident row being wrong must not
    hide that all of them together are right often enough.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        max_risk: R in [0, 1]; a risk above it by no more than 1e-7 (float32 rounding) still counts.
        weight: how often each row counts, (N,).
        abstained: 1 where the model declined in words: never answered, (N,); nowhere by default.

    Returns:
        The coverage, a float64 scalar.

    Raises:
        ValueError: for ``max_risk`` outside [0, 1], or the reasons of
            :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Whitehead et al., "Reliable Visual Question Answering: Abstain Rather Than Answer Incorrectly", ECCV 2022,
        Section 3 (evaluation metrics).

    Example:
        Only the most confident answer is wrong, yet risk over all five is 1/5:

        >>> coverage_at_risk([0.9, 0.8, 0.7, 0.6, 0.5], [0, 1, 1, 1, 1], max_risk=0.2)
        tensor(1., dtype=torch.float64)
        >>> coverage_at_risk([0.9, 0.8, 0.7, 0.6, 0.5], [0, 1, 1, 1, 1], max_risk=0.1)
        tensor(0., dtype=torch.float64)
    """
    max_risk = check_max_risk(max_risk)
    return largest_coverage(loss_blocks(check_selective(confidence, correctness, weight, abstained)), max_risk)


def risk_at_coverage(
    confidence: ArrayLike,
    correctness: ArrayLike,
    coverage: float,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""Risk at the smallest realisable coverage that is at least ``coverage``, in [0, 1]; lower is better.

    .. math:: \text{R@}C = r(t^*), \quad t^* = \max \{t : c(t) \ge C\}

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        coverage: C in (0, 1].
        weight: how often each row counts, (N,).
        abstained: 1 where the model declined in words: never answered, (N,); nowhere by default.

    Returns:
        The risk, a float64 scalar; NaN where so many rows were declined that no threshold reaches the coverage.

    Raises:
        ValueError: for ``coverage`` outside (0, 1], or the reasons of
            :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, Section 2.

    Example:
        Half the rows cannot be answered without the tied third:

        >>> risk_at_coverage([0.9, 0.8, 0.8, 0.5], [1.0, 0.0, 1.0, 0.0], coverage=0.5)
        tensor(0.3333, dtype=torch.float64)
    """
    coverage = check_coverage(coverage)
    return risk_from(loss_blocks(check_selective(confidence, correctness, weight, abstained)), coverage)


def effective_reliability(
    confidence: ArrayLike,
    correctness: ArrayLike,
    cost: float,
    threshold: float | Tensor,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""Mean reward when wrong answers cost and abstentions are free, in [-cost, 1]; higher is better.

    .. math::
        \Phi_c = \frac1N \sum_i \begin{cases}
            a_i & s_i \ge t,\ a_i > 0 \\ -c & s_i \ge t,\ a_i = 0 \\ 0 & s_i < t \end{cases}

    The mean is over all N rows, abstentions included. An answer that a single annotator shares (a = .3) earns its
    accuracy: only answers that nobody gave are charged.

    Args:
        confidence: scores s, higher is surer, (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        cost: c, price of an answer with accuracy 0, not negative.
        threshold: t, from :func:`best_threshold` on a *calibration* split; -inf answers everything, +inf nothing, not
            even rows of confidence +inf.
        weight: how often each row counts, (N,).
        abstained: 1 where the model declined in words: never answered, (N,); nowhere by default.

    Returns:
        The mean reward, a float64 scalar.

    Raises:
        ValueError: for a negative cost, NaN threshold, or the reasons of
            :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Whitehead et al., "Reliable Visual Question Answering: Abstain Rather Than Answer Incorrectly", ECCV 2022,
        Section 3 (effective reliability).

    Example:
        Rewards 1, -1 and 0:

        >>> effective_reliability([0.9, 0.6, 0.3], [1.0, 0.0, 1.0], cost=1.0, threshold=0.5)
        tensor(0., dtype=torch.float64)
        >>> effective_reliability([0.9, 0.6, 0.3], [1.0, 0.0, 1.0], cost=1.0, threshold=0.7)
        tensor(0.3333, dtype=torch.float64)
    """
    cost, threshold = check_cost(cost), check_threshold(threshold)
    return ratio(reward_sums(check_selective(confidence, correctness, weight, abstained), cost, threshold))


def best_threshold(
    confidence: ArrayLike,
    correctness: ArrayLike,
    cost: float,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""The threshold with the highest effective reliability on a calibration split.

    .. math:: t^* = \min \arg\max_{t \in \{s_1, \ldots, s_N, +\infty\}} \Phi_c(t)

    The candidates are the cuts between tied blocks, and +inf: where every cut loses, abstaining on everything (a reward
    of 0) is the answer. Among equally good thresholds the lowest wins, which is the one with most coverage.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        cost: price of an answer with accuracy 0, not negative.
        weight: how often each row counts, (N,).
        abstained: 1 where the model declined in words: never answered, (N,); nowhere by default.

    Returns:
        The threshold for :func:`effective_reliability`, a float64 scalar, possibly +inf.

    Raises:
        ValueError: for a negative cost, or the reasons of :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Whitehead et al., "Reliable Visual Question Answering: Abstain Rather Than Answer Incorrectly", ECCV 2022,
        Section 3 (effective reliability). Its code searches row by row without +inf; see the deviation above.

    Example:
        >>> best_threshold([0.9, 0.6, 0.3], [1.0, 0.0, 1.0], cost=1.0)  # 1/3 at .9 and at .3: the lowest wins
        tensor(0.3000, dtype=torch.float64)
        >>> best_threshold([0.9, 0.6, 0.3], [0.0, 0.0, 1.0], cost=1.0)
        tensor(inf, dtype=torch.float64)
    """
    cost = check_cost(cost)
    columns = check_selective(confidence, correctness, weight, abstained)
    rewards = answer_rewards(columns.correctness, cost)
    blocks = tied_blocks(columns.confidence, rewards, columns.weight, columns.abstained)
    reward = blocks.value / blocks.total
    best = with_origin(reward).max()  # 0 is what +inf earns
    as_good = blocks.threshold[reward >= best - ROUNDING_TOLERANCE * max(1.0, cost)]
    # Thresholds descend, so the last is the lowest; none is left only where +inf beats them all.
    return as_good[-1] if as_good.numel() else torch.tensor(math.inf, dtype=torch.float64)


def largest_coverage(losses: TiedBlocks, max_risk: float) -> Tensor:
    """C@R of accumulated losses; see :func:`coverage_at_risk`."""
    # Coverage ascends, so the largest feasible one is the last; 0 where there is none, also where all was declined.
    return with_origin(losses.coverage.where(losses.mean <= max_risk + RISK_TOLERANCE, 0.0)).amax(-1)


def risk_from(losses: TiedBlocks, coverage: float) -> Tensor:
    """R@C of accumulated losses; see :func:`risk_at_coverage`."""
    too_few = (losses.coverage < coverage - ROUNDING_TOLERANCE).sum(-1, keepdim=True)
    unreached = losses.mean.new_full((*losses.mean.shape[:-1], 1), math.nan)
    return torch.cat([losses.mean, unreached], dim=-1).gather(-1, too_few).squeeze(-1)


def reward_sums(columns: SelectiveColumns, cost: float, threshold: float) -> Tensor:
    """Weight of all rows and their rewards, (2,); see :func:`effective_reliability`."""
    answered = (columns.confidence >= threshold) & (threshold < math.inf) & (columns.abstained == 0)
    reward = torch.where(answered, answer_rewards(columns.correctness, cost), 0.0)
    return torch.stack([columns.weight.sum(), (columns.weight * reward).sum()])


def check_max_risk(max_risk: float) -> float:
    """A risk in [0, 1]; also called by the metric shells, which should fail at construction and not after an epoch."""
    return check_number("max_risk", max_risk, 0, 1, "pass a fraction, 1% is 0.01")


def check_coverage(coverage: float) -> float:
    """A coverage in (0, 1]."""
    remedy = "pass the fraction to answer; risk is undefined where nothing is"
    return check_number("coverage", coverage, 0, 1, remedy, low_open=True)


def check_cost(cost: float) -> float:
    """A finite cost that is not negative."""
    return check_number("cost", cost, 0, math.inf, "pass the price of a wrong answer as a positive number")


def check_threshold(threshold: float | Tensor) -> float:
    """Any number or ±inf, not NaN."""
    value = float(threshold)
    if math.isnan(value):
        raise ValueError("Expected `threshold` to be a number but got nan; use +inf to abstain on everything")
    return value


def answer_rewards(accuracy: Tensor, cost: float) -> Tensor:
    """What answering earns, row by row, (N,)."""
    return torch.where(accuracy > 0, accuracy, -cost)
