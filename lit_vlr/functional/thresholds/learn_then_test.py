"""Learn-then-Test for selective risk, also of soft accuracies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lit_vlr.functional._validation import ArrayLike
from lit_vlr.functional.thresholds.bounds import hoeffding_bentkus_p_value, minimum_without_error
from lit_vlr.functional.thresholds.choice import (
    NOTHING_TO_ANSWER,
    Cuts,
    ThresholdChoice,
    answered_correctness,
    check_certifiable_risk,
    check_delta,
    cuts_of,
)


def learn_then_test_threshold(
    confidence: ArrayLike,
    correctness: ArrayLike,
    max_risk: float,
    delta: float = 0.05,
    *,
    starts: int = 1,
    binary: bool | None = None,
    abstained: ArrayLike | None = None,
) -> ThresholdChoice:
    r"""A threshold whose risk is at most ``max_risk`` with probability 1 - delta; for accuracies in [0, 1].

    Fixed-sequence testing: from the strictest cut on, each cut tests "its risk exceeds ``max_risk``" on the questions
    that it answers; the sequence ends at the first hypothesis that cannot be rejected, and the last rejected one is the
    choice. No correction for the number of cuts is needed, because the order is fixed before the answers are looked at.

    Cuts that answer too few for any proof (:func:`minimum_without_error`) are walked over as long as nothing in them is
    wrong; they are never chosen. That keeps the choice monotone: a larger ``max_risk`` never gives a higher threshold.

    With one start, an early mistake ends the sequence at once. With J starts, J sequences begin where N, N/2, …,
    :math:`N/2^{J-1}` questions were answered, each at delta/J: worth it from about a thousand questions on.

    Where risk grows with coverage in the population, taking the cuts from the calibration scores themselves costs
    nothing; see docs/guarantees.md.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        max_risk: in (0, 1].
        delta: in (0, 1).
        starts: sequences, at least 1.
        binary: accuracies can only be 0 or 1, which gives sharper p-values; None looks whether all of them are.
        abstained: 1 where the model declined in words, (N,); nowhere by default. What is promised is about answers, so
            these rows prove nothing: N is without them.

    Returns:
        The choice; +inf where nothing can be proven.

    Raises:
        ValueError: for an argument out of range, ``binary`` with soft accuracies, or malformed columns.

    Reference:
        Angelopoulos et al., "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control",
        arXiv 2110.01052, Algorithm 1 (fixed-sequence testing, also from several starts) and its example of selective
        classification.

    Example:
        >>> learn_then_test_threshold(range(100), [0] * 50 + [1] * 50, max_risk=0.1).threshold
        49.0
        >>> learn_then_test_threshold(range(12), [1] * 12, max_risk=0.1).reason
        'needs at least 29 answered calibration questions without error for r=0.1, delta=0.05; has 12'
    """
    check_certifiable_risk(max_risk)
    check_delta(delta)
    if starts != int(starts) or starts < 1:
        raise ValueError(f"Expected `starts` of at least 1 but got {starts}; 1 is the plain fixed sequence")
    cuts = cuts_of(confidence, correctness, abstained)
    if not cuts.answerable:
        return cuts.abstain(NOTHING_TO_ANSWER, "ltt", max_risk, delta)
    binary_losses = _is_binary(answered_correctness(correctness, abstained), binary)
    p_value = hoeffding_bentkus_p_value(cuts.loss, cuts.answered, max_risk, binary=binary_losses)
    level = delta / starts
    rejected = p_value <= level
    # Without any loss p is (1 - r)^n: rejected if n is large enough, and otherwise no evidence against going on.
    stops = ~(rejected | cuts.spotless)
    chosen = [_walk(rejected, stops, start) for start in _starts(cuts, starts)]
    if (best := max(chosen)) < 0:
        return cuts.abstain(_reason(cuts, p_value, max_risk, delta, starts), "ltt", max_risk, delta)
    return cuts.choose(best, "ltt", max_risk, delta, max_risk)


def _starts(cuts: Cuts, starts: int) -> list[int]:
    """Cuts at which the sequences begin; they depend on counts alone, never on answers or on the target."""
    if starts == 1:
        return [0]
    return [int(np.searchsorted(cuts.answered, cuts.answerable / 2**j)) for j in range(starts)]


def _walk(rejected: npt.NDArray[np.bool_], stops: npt.NDArray[np.bool_], start: int) -> int:
    """The last rejected cut before the sequence stops; -1 if there is none."""
    stop = start + int(stops[start:].argmax()) if stops[start:].any() else len(stops)
    found = rejected[start:stop].nonzero()[0]
    return start + int(found[-1]) if len(found) else -1


def _is_binary(accuracy: Tensor, binary: bool | None) -> bool:
    is_binary = bool(((accuracy == 0) | (accuracy == 1)).all())
    if binary and not is_binary:
        raise ValueError("Expected `correctness` of 0 or 1 with `binary` but got soft accuracies; leave `binary` out")
    return is_binary if binary is None else binary


def _reason(cuts: Cuts, p_value: npt.NDArray[np.float64], max_risk: float, delta: float, starts: int) -> str:
    least = minimum_without_error(max_risk, delta / starts)
    split = f" split over {starts} starts" if starts > 1 else ""
    said = (
        f"needs at least {least} answered calibration questions without error for r={max_risk:g}, "
        f"delta={delta:g}{split}; has {cuts.n_spotless}"
    )
    if cuts.answerable < least:
        return said
    first = int((cuts.answered >= least).argmax())
    risk = cuts.loss[first] / cuts.answered[first]
    return f"{said} (the {cuts.answered[first]} surest have a risk of {risk:.3g}, p = {p_value[first]:.2g})"
