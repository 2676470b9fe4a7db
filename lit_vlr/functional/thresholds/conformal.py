"""Conformal risk control of the *generalised* risk."""

from __future__ import annotations

from lit_vlr.functional._validation import ArrayLike
from lit_vlr.functional.operating_point import RISK_TOLERANCE
from lit_vlr.functional.thresholds.choice import (
    NOTHING_TO_ANSWER,
    ThresholdChoice,
    check_certifiable_risk,
    cuts_of,
)


def conformal_threshold(
    confidence: ArrayLike, correctness: ArrayLike, max_risk: float, *, abstained: ArrayLike | None = None
) -> ThresholdChoice:
    r"""A threshold that keeps "answered and wrong" at most ``max_risk`` of *all* questions, in expectation.

    .. math:: t^* = \min \left\{t : \frac{\sum_i [s_i \ge t](1 - a_i) + 1}{n + 1} \le r\right\}, \qquad
        E\left[[s_{n+1} \ge t^*](1 - a_{n+1})\right] \le r

    Convention: this is *generalised* risk (coverage times risk), the quantity whose curve AUGRC integrates. It is not
    the risk among the answered: answering a tenth of the questions, half of them wrong, has a generalised risk of .05.
    And it holds on average over calibration splits, where :func:`learn_then_test_threshold` holds for most of them.

    Args:
        confidence: scores, higher is surer, (n,).
        correctness: soft accuracies in [0, 1], (n,).
        max_risk: r in (0, 1].
        abstained: 1 where the model declined in words: one of all questions, and never answered, (n,).

    Returns:
        The choice, with the conformal mean as its bound; +inf where not even the surest can be answered.

    Raises:
        ValueError: for ``max_risk`` outside (0, 1], or malformed columns.

    Reference:
        Angelopoulos et al., "Conformal Risk Control", ICLR 2024, equation 4 and Theorem 1. The paper answers
        above the next lower score; answering from the chosen score on answers no more than that.

    Example:
        One of twenty is wrong, and one more is reckoned with: 2/21 is the generalised risk of answering everything.

        >>> conformal_threshold(range(20), [0] + [1] * 19, max_risk=0.1).threshold
        0.0
        >>> conformal_threshold(range(20), [0] + [1] * 19, max_risk=0.05).threshold
        1.0
    """
    check_certifiable_risk(max_risk)
    cuts = cuts_of(confidence, correctness, abstained)
    if not cuts.answerable:
        return cuts.abstain(NOTHING_TO_ANSWER, "crc", max_risk)
    bound = (cuts.loss + 1) / (cuts.n + 1)
    allowed = (bound <= max_risk + RISK_TOLERANCE).nonzero()[0]
    if len(allowed):
        cut = int(allowed[-1])  # the sums never fall, so everything before it is allowed too
        return cuts.choose(cut, "crc", max_risk, bound=float(bound[cut]))
    if 1 / (cuts.n + 1) > max_risk + RISK_TOLERANCE:
        least = next(m for m in range(cuts.n, int(1 / max_risk) + 2) if 1 / (m + 1) <= max_risk + RISK_TOLERANCE)
        reason = f"needs at least {least} calibration questions for r={max_risk:g}; has {cuts.n}"
    else:
        first = int(cuts.answered[0])
        reason = f"answering the surest ({first} of {cuts.n} questions) already has {bound[0]:.3g} > r={max_risk:g}"
    return cuts.abstain(reason, "crc", max_risk)
