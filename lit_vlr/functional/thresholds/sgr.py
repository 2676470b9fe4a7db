"""Selection with Guaranteed Risk."""

from __future__ import annotations

from lit_vlr.functional._validation import ArrayLike
from lit_vlr.functional.thresholds.bounds import binomial_upper_bound, minimum_without_error
from lit_vlr.functional.thresholds.choice import (
    NOTHING_TO_ANSWER,
    Cuts,
    ThresholdChoice,
    answered_correctness,
    check_certifiable_risk,
    check_delta,
    cuts_of,
)


def sgr_threshold(
    confidence: ArrayLike,
    correctness: ArrayLike,
    max_risk: float,
    delta: float = 0.05,
    *,
    abstained: ArrayLike | None = None,
) -> ThresholdChoice:
    r"""A threshold whose risk is at most ``max_risk`` with probability 1 - delta; for answers that are right or wrong.

    Binary search over the cuts, :math:`\lceil \log_2 m \rceil` steps for m questions, each at
    :math:`\delta / \lceil \log_2 m \rceil`: go on to more coverage where the exact binomial bound is at most
    ``max_risk``, to less where it is not.

    Deviations from the paper: tied rows enter together; the bound takes the whole number of errors (code that
    multiplies the risk again and truncates it gives .5047 for 13 of 45 errors at .001 instead of .5281); the best cut
    that passed is returned, not the last one that was tried; where none passed, everything is abstained on.

    The search starts in the middle, so a split whose middle cut answers too few for any proof is given up, though more
    questions would have proven it: small splits are served better by :func:`learn_then_test_threshold`.

    Args:
        confidence: scores, higher is surer, (m,).
        correctness: 0 or 1, (m,).
        max_risk: in (0, 1].
        delta: in (0, 1).
        abstained: 1 where the model declined in words, (m,); nowhere by default. What is promised is about answers, so
            these rows prove nothing: the search is without them.

    Returns:
        The choice, with its bound; +inf where nothing can be proven.

    Raises:
        ValueError: for soft accuracies, ``max_risk`` or ``delta`` out of range, or malformed columns.

    Reference:
        Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, Algorithm 1 and
        Theorem 3.2.

    Example:
        >>> choice = sgr_threshold(range(200), [0] * 50 + [1] * 150, max_risk=0.1)
        >>> choice.threshold, round(choice.bound, 3)
        (44.0, 0.095)
    """
    check_certifiable_risk(max_risk)
    check_delta(delta)
    cuts = cuts_of(confidence, correctness, abstained)
    _check_binary(correctness, abstained)
    if not cuts.answerable:
        return cuts.abstain(NOTHING_TO_ANSWER, "sgr", max_risk, delta)
    steps = max(1, (cuts.answerable - 1).bit_length())  # ceil(log2 m), without the rounding of a logarithm
    passed: tuple[int, float] | None = None
    tried: list[int] = []
    low, high = 0, len(cuts.threshold) - 1
    for _ in range(steps):
        if low > high:
            break
        middle = (low + high) // 2
        tried.append(int(cuts.answered[middle]))
        bound = binomial_upper_bound(round(cuts.loss[middle]), tried[-1], delta / steps)
        if bound <= max_risk:
            passed, low = (middle, bound), middle + 1
        else:
            high = middle - 1
    if passed is None:
        return cuts.abstain(_reason(cuts, max_risk, delta, steps, tried), "sgr", max_risk, delta)
    return cuts.choose(passed[0], "sgr", max_risk, delta, passed[1])


def _check_binary(correctness: ArrayLike, abstained: ArrayLike | None) -> None:
    accuracy = answered_correctness(correctness, abstained)
    soft = accuracy[(accuracy != 0) & (accuracy != 1)]
    if len(soft):
        raise ValueError(
            f"Expected `correctness` of 0 or 1 but got {float(soft[0]):g}; the binomial bound of SGR holds for right "
            "and wrong only: use Learn-then-Test (ltt) for soft accuracy"
        )


def _reason(cuts: Cuts, max_risk: float, delta: float, steps: int, tried: list[int]) -> str:
    least = minimum_without_error(max_risk, delta / steps)
    return (
        f"needs at least {least} answered calibration questions without error for r={max_risk:g}, delta={delta:g} in "
        f"{steps} steps; has {cuts.n_spotless}; its search tried the surest {', '.join(map(str, tried))}"
    )
