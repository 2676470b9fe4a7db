"""What happened once somebody decided to abstain: how often, and how right the rest is.

These take the decision itself (``abstained``) instead of a confidence, because a model can also decline in words.

Results are float64 on the CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr.functional._sums import ratio
from lit_vlr.functional._validation import (
    ArrayLike,
    check_abstained,
    check_correctness,
    check_same_length,
    check_weight,
)


def abstention_rate(abstained: ArrayLike, weight: ArrayLike | None = None) -> Tensor:
    r"""Fraction of the rows on which the model abstained, in [0, 1]; 1 - coverage.

    .. math:: \frac{\sum_i w_i [\text{abstained}_i]}{\sum_i w_i}

    Neither high nor low is better in itself: report it beside :func:`selective_accuracy`.

    Args:
        abstained: booleans, or 0 and 1, (N,).
        weight: how often each row counts, (N,).

    Returns:
        The rate, a float64 scalar.

    Raises:
        ValueError: if ``abstained`` is empty or holds anything but 0 and 1.

    Reference:
        El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010, as one minus
        coverage.

    Example:
        >>> abstention_rate([True, False, False, True])
        tensor(0.5000, dtype=torch.float64)
    """
    return ratio(abstention_sums(abstained, weight))


def selective_accuracy(correctness: ArrayLike, abstained: ArrayLike, weight: ArrayLike | None = None) -> Tensor:
    r"""Mean accuracy of the answered rows, in [0, 1]; higher is better; 1 - risk.

    .. math:: \frac{\sum_i w_i [\text{answered}_i]\, a_i}{\sum_i w_i [\text{answered}_i]}

    What an abstained row would have scored is ignored: declining never counts as right, nor as wrong.

    Args:
        correctness: soft accuracies a in [0, 1], (N,).
        abstained: booleans, or 0 and 1, (N,).
        weight: how often each row counts, (N,).

    Returns:
        The accuracy, a float64 scalar; NaN where nothing was answered, since neither 0 nor 1 would be true.

    Raises:
        ValueError: for empty or unequal columns, correctness outside [0, 1], or ``abstained`` other than 0 and 1.

    Reference:
        Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, Section 2, as one minus
        selective risk.

    Example:
        >>> selective_accuracy([1.0, 0.6, 0.0], [False, False, True])
        tensor(0.8000, dtype=torch.float64)
    """
    return ratio(answered_sums(correctness, abstained, weight))


def abstention_sums(abstained: ArrayLike, weight: ArrayLike | None) -> Tensor:
    """Weight of all rows and of the abstained ones, (2,)."""
    decided = check_abstained(abstained)
    weights = check_weight(weight, decided)
    return torch.stack([weights.sum(), (weights * decided).sum()])


def answered_sums(correctness: ArrayLike, abstained: ArrayLike, weight: ArrayLike | None) -> Tensor:
    """Weight of the answered rows and their accuracies, (2,)."""
    accuracy = check_correctness(correctness)
    decided = check_abstained(abstained)
    check_same_length("correctness", accuracy, "abstained", decided)
    answered = check_weight(weight, accuracy) * (1 - decided)
    return torch.stack([answered.sum(), (answered * accuracy).sum()])
