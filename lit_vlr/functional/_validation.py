"""Argument checks shared by the functional package.

Every check answers with the argument's name, what was expected, what came, and what to do about it. Numbers are
brought to the CPU in float64 here, once: sorting and summing there is deterministic, so a metric depends neither on
the device nor on the precision in which the model ran.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

ArrayLike: TypeAlias = Tensor | np.ndarray[Any, Any] | Sequence[float] | Sequence[int] | Sequence[bool]
"""What the metrics take for a column of N numbers: a tensor on any device, an array, or a list."""


class SelectiveColumns(NamedTuple):
    """The checked columns of a selective metric, float64 on the CPU, (N,) each.

    Attributes:
        confidence: scores, higher is surer, never NaN.
        correctness: soft accuracies in [0, 1].
        weight: how often each row counts.
        abstained: 1 where the model declined in words, else 0.
    """

    confidence: Tensor
    correctness: Tensor
    weight: Tensor
    abstained: Tensor


def as_vector(name: str, value: ArrayLike) -> Tensor:
    """Bring a column of numbers to a detached float64 vector on the CPU, (N,).

    Args:
        name: the argument's name, for the message.
        value: N numbers, N >= 1.

    Raises:
        TypeError: if the values are not real numbers.
        ValueError: if there are none, or they do not form one column.
    """
    try:
        tensor = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:  # strings, records, ragged lists
        raise TypeError(f"Expected `{name}` to hold real numbers but got {type(value).__name__}: {error}") from error
    if tensor.is_complex():
        raise TypeError(f"Expected `{name}` to hold real numbers but got {tensor.dtype}; pass its real part")
    if tensor.ndim != 1:
        raise ValueError(
            f"Expected `{name}` of shape (N,) but got {tuple(tensor.shape)}; pass one number a sample, for example "
            "with `.flatten()`"
        )
    if tensor.numel() == 0:
        raise ValueError(f"Expected `{name}` with at least one sample but got none; was the split empty?")
    return tensor.to(device="cpu", dtype=torch.float64)


def check_confidence(confidence: ArrayLike) -> Tensor:
    """Confidence scores, (N,): higher is surer, any finite value or ±inf, never NaN."""
    scores = as_vector("confidence", confidence)
    nan = scores.isnan().nonzero()
    if nan.numel():
        raise ValueError(
            f"Expected `confidence` without NaN but got {nan.numel()} of {scores.numel()}, the first at index "
            f"{int(nan[0])}; give a row that must never be answered -inf, or find out why its score is undefined"
        )
    return scores


def check_correctness(correctness: ArrayLike) -> Tensor:
    """Soft accuracies, (N,), in [0, 1]."""
    accuracy = as_vector("correctness", correctness)
    # Written so that NaN, for which every comparison is false, counts as outside.
    outside = (~((accuracy >= 0) & (accuracy <= 1))).nonzero()
    if outside.numel():
        first = int(outside[0])
        raise ValueError(
            f"Expected `correctness` in [0, 1] but got {float(accuracy[first]):g} at index {first}; pass soft accuracy "
            "(a percentage divided by 100), not a loss"
        )
    return accuracy


def check_weight(weight: ArrayLike | None, like: Tensor) -> Tensor:
    """Sample weights, (N,), finite and not negative, at least one positive; ones where None was given."""
    if weight is None:
        return torch.ones_like(like)
    weights = as_vector("weight", weight)
    check_same_length("weight", weights, "confidence or correctness", like)
    wrong = (~(weights.isfinite() & (weights >= 0))).nonzero()
    if wrong.numel():
        first = int(wrong[0])
        raise ValueError(
            f"Expected `weight` finite and not negative but got {float(weights[first]):g} at index {first}; a weight "
            "says how often a row is counted"
        )
    if not bool((weights > 0).any()):
        raise ValueError("Expected `weight` with at least one positive value but got only zeros; nothing is left")
    return weights


def check_whole(name: str, value: Tensor) -> None:
    """Whole numbers, for quantities that depend on how many rows there are and not on proportions alone."""
    fractional = (value != value.round()).nonzero()
    if fractional.numel():
        first = int(fractional[0])
        raise ValueError(
            f"Expected `{name}` to be whole numbers but got {float(value[first]):g} at index {first}; this quantity "
            "depends on the number of rows: repeat rows, or use `augrc` or convention 'geifman', which need only "
            "proportions"
        )


def check_same_length(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Refuse two columns of different lengths; torch would broadcast a column of one silently."""
    if value.shape != other.shape:
        raise ValueError(
            f"Expected `{name}` and `{other_name}` of one length but got {value.numel()} and {other.numel()}; pass "
            "them row by row for the same samples"
        )


def check_abstained(abstained: ArrayLike) -> Tensor:
    """Decisions as zeros and ones, (N,)."""
    decided = as_vector("abstained", abstained)
    wrong = (~((decided == 0) | (decided == 1))).nonzero()
    if wrong.numel():
        first = int(wrong[0])
        raise ValueError(
            f"Expected `abstained` to be booleans or 0/1 but got {float(decided[first]):g} at index {first}; pass "
            "`confidence < threshold`, not the confidence"
        )
    return decided


def check_selective(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    abstained: ArrayLike | None = None,
    *,
    whole_weight: bool = False,
) -> SelectiveColumns:
    """The columns of a selective metric, checked one by one and against each other.

    Args:
        confidence: scores, (N,).
        correctness: soft accuracies, (N,).
        weight: how often each row counts, (N,).
        abstained: where the model declined in words, (N,).
        whole_weight: refuse fractional weights, for quantities that depend on the number of rows.
    """
    scores = check_confidence(confidence)
    accuracy = check_correctness(correctness)
    check_same_length("confidence", scores, "correctness", accuracy)
    weights = check_weight(weight, accuracy)
    if whole_weight:
        check_whole("weight", weights)
    declined = torch.zeros_like(accuracy) if abstained is None else check_abstained(abstained)
    check_same_length("abstained", declined, "correctness", accuracy)
    return SelectiveColumns(scores, accuracy, weights, declined)


def check_answered_probability(columns: SelectiveColumns) -> SelectiveColumns:
    """The rows that were not declined, possibly none, after checking that their confidence is in [0, 1]."""
    confidence, answered = columns.confidence, columns.abstained == 0
    outside = (answered & ~((confidence >= 0) & (confidence <= 1))).nonzero()
    if outside.numel():
        first = int(outside[0])
        raise ValueError(
            f"Expected `confidence` in [0, 1] but got {float(confidence[first]):g} at index {first}; calibration "
            "compares it with accuracy: pass a probability (`.exp()` of a log-probability, `.sigmoid()` of a logit)"
        )
    return SelectiveColumns(*(column[answered] for column in columns))


def check_number(name: str, value: float, low: float, high: float, remedy: str, *, low_open: bool = False) -> float:
    """One finite number within [low, high], or (low, high] with ``low_open``.

    Args:
        name: the argument's name, for the message.
        value: what the caller gave.
        low: smallest allowed value.
        high: largest allowed value; may be +inf, ``value`` still has to be finite.
        remedy: what to do, appended to the message.
        low_open: leave ``low`` itself out.
    """
    number = float(value)
    inside = (number > low if low_open else number >= low) and number <= high and math.isfinite(number)
    if not inside:
        interval = f"{'(' if low_open else '['}{low:g}, {high:g}{']' if math.isfinite(high) else ')'}"
        raise ValueError(f"Expected `{name}` in {interval} but got {number:g}; {remedy}")
    return number


def check_choice(name: str, value: str, literal: Any) -> None:  # noqa: ANN401 - a Literal has no type to name
    """One of the strings of a ``Literal``."""
    choices = get_args(literal)
    if value not in choices:
        raise ValueError(f"Expected `{name}` to be one of {list(choices)} but got {value!r}; choose one by name")
