"""Thresholds that are right on the calibration split and promise nothing elsewhere: by risk, cost and coverage."""

from __future__ import annotations

import math

from lit_vlr.functional._validation import ArrayLike
from lit_vlr.functional.operating_point import (
    RISK_TOLERANCE,
    ROUNDING_TOLERANCE,
    best_threshold,
    check_coverage,
    check_max_risk,
)
from lit_vlr.functional.thresholds.choice import NOTHING_TO_ANSWER, ThresholdChoice, cuts_of


def empirical_threshold(
    confidence: ArrayLike, correctness: ArrayLike, max_risk: float, *, abstained: ArrayLike | None = None
) -> ThresholdChoice:
    r"""The lowest threshold with at most ``max_risk`` on the calibration split.

    .. math:: t^* = \min \{t : \hat r(t) \le r\}

    It is chosen because its risk came out low, so the risk on new questions exceeds ``max_risk`` about every other
    time; see :func:`learn_then_test_threshold` for one that does not.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        max_risk: r in [0, 1]; a risk above it by no more than 1e-7 (float32 rounding) still counts.
        abstained: 1 where the model declined in words: no threshold answers it, (N,); nowhere by default.

    Returns:
        The choice; +inf where no threshold will do.

    Raises:
        ValueError: for ``max_risk`` outside [0, 1], or malformed columns.

    Reference:
        Whitehead et al., "Reliable Visual Question Answering", ECCV 2022, Section 3 (coverage at risk).

    Example:
        >>> choice = empirical_threshold([0.9, 0.8, 0.3], [1.0, 1.0, 0.0], max_risk=0.1)
        >>> choice.threshold, choice.answered
        (0.8, 2)
    """
    check_max_risk(max_risk)
    cuts = cuts_of(confidence, correctness, abstained)
    if not cuts.answerable:
        return cuts.abstain(NOTHING_TO_ANSWER, "empirical", max_risk)
    risk = cuts.loss / cuts.answered
    allowed = (risk <= max_risk + RISK_TOLERANCE).nonzero()[0]
    if len(allowed):
        return cuts.choose(int(allowed[-1]), "empirical", max_risk)
    reason = f"no threshold has a risk of at most {max_risk:g} on the calibration split; the lowest is {risk.min():.3g}"
    return cuts.abstain(reason, "empirical", max_risk)


def cost_threshold(
    confidence: ArrayLike, correctness: ArrayLike, cost: float, *, abstained: ArrayLike | None = None
) -> ThresholdChoice:
    """The threshold of :func:`~lit_vlr.functional.best_threshold`, as a choice.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        cost: price of an answer with accuracy 0, not negative.
        abstained: 1 where the model declined in words: no threshold answers it, (N,); nowhere by default.

    Returns:
        The choice; +inf where every threshold loses.

    Raises:
        ValueError: for a negative cost, or malformed columns.

    Example:
        >>> cost_threshold([0.9, 0.6, 0.3], [1.0, 0.0, 1.0], cost=1.0).threshold
        0.3
    """
    threshold = float(best_threshold(confidence, correctness, cost, abstained=abstained))
    cuts = cuts_of(confidence, correctness, abstained)
    if not cuts.answerable:
        return cuts.abstain(NOTHING_TO_ANSWER, "cost", cost)
    if threshold == math.inf:
        reason = f"at a cost of {cost:g} a wrong answer, every threshold loses on the calibration split"
        return cuts.abstain(reason, "cost", cost)
    return cuts.choose(int((cuts.threshold == threshold).nonzero()[0][0]), "cost", cost)


def coverage_threshold(
    confidence: ArrayLike, correctness: ArrayLike, coverage: float, *, abstained: ArrayLike | None = None
) -> ThresholdChoice:
    r"""The highest threshold that answers at least this share of the calibration split.

    .. math:: t^* = \max \{t : c(t) \ge C\}

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], for the risk that is reported, (N,).
        coverage: C in (0, 1].
        abstained: 1 where the model declined in words: no threshold answers it, (N,); nowhere by default.

    Returns:
        The choice; there always is one but where so much was declined that not even all the rest is enough: +inf.

    Raises:
        ValueError: for ``coverage`` outside (0, 1], or malformed columns.

    Reference:
        Geifman and El-Yaniv, "SelectiveNet", ICML 2019, Section 5 (calibrating the coverage).

    Example:
        >>> coverage_threshold([0.9, 0.8, 0.8, 0.5], [1.0, 0.0, 1.0, 0.0], coverage=0.5).coverage
        0.75
    """
    check_coverage(coverage)
    cuts = cuts_of(confidence, correctness, abstained)
    enough = cuts.answered / cuts.n >= coverage - ROUNDING_TOLERANCE
    if not enough.any():
        declined = cuts.n - cuts.answerable
        reason = f"the model declined {declined} of {cuts.n} calibration questions in words, which leaves too few"
        return cuts.abstain(reason, "coverage", coverage)
    return cuts.choose(int(enough.argmax()), "coverage", coverage)
