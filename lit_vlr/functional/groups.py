"""A metric group by group, and the worst of them: an average hides the perturbation or question type that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lit_vlr.functional._validation import ArrayLike, check_selective

Label: TypeAlias = str | int
"""The name of a group."""
Labels: TypeAlias = Sequence[Label] | npt.NDArray[Any] | Tensor
"""One label a row."""


class GroupValues(NamedTuple):
    """A metric group by group.

    Attributes:
        values: the metric of each group, in sorted order of the labels.
        worst_group: the label of the worst group.
        worst: its value.
    """

    values: dict[Label, Tensor]
    worst_group: Label
    worst: Tensor


def by_group(
    metric: Callable[..., Tensor],
    confidence: ArrayLike,
    correctness: ArrayLike,
    group: Labels,
    *,
    higher_is_better: bool,
    weight: ArrayLike | None = None,
    abstained: ArrayLike | None = None,
) -> GroupValues:
    r"""Evaluate a metric on each group of rows, and name the worst group.

    .. math:: \text{worst} = \min_g \text{metric}(\{i : g_i = g\}) \quad (\max_g \text{ where lower is better})

    Groups may overlap in nothing: each row has one label. Small groups are noisy, and the worst of many noisy values is
    pessimistic: report the group sizes beside it.

    Args:
        metric: a function of ``(confidence, correctness)`` that takes ``weight`` and ``abstained`` by name where they
            are given; set its options with :func:`functools.partial`.
        confidence: scores, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        group: labels, strings or whole numbers, (N,).
        higher_is_better: direction of the metric. A function carries none, and a guess would call the best group the
            worst.
        weight: how often each row counts, (N,).
        abstained: 1 where the model declined in words, (N,).

    Returns:
        Values by label, worst label, worst value. Among equals the first label wins. A value that is NaN is the worst:
        where one group's value is undefined, no bound on all of them is known.

    Raises:
        ValueError: for ``group`` of another shape, a group of weight zero, or the reasons of the metric.

    Reference:
        Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020, worst-group accuracy;
        Jones et al., "Selective Classification Can Magnify Disparities Across Groups", ICLR 2021, by coverage.

    Example:
        >>> from lit_vlr.functional import aurc
        >>> confidence, correctness = [0.9, 0.8, 0.9, 0.8], [1.0, 0.0, 0.0, 1.0]
        >>> result = by_group(
        ...     aurc, confidence, correctness, ["clean", "clean", "attacked", "attacked"], higher_is_better=False)
        >>> result.worst_group, result.worst
        ('attacked', tensor(0.7500, dtype=torch.float64))
    """
    columns = check_selective(confidence, correctness, weight, abstained)
    labels = check_labels(group, len(columns.confidence))
    values: dict[Label, Tensor] = {}
    for label in np.unique(labels).tolist():
        rows = torch.from_numpy(labels == label)
        values[label] = metric(
            columns.confidence[rows],
            columns.correctness[rows],
            **({} if weight is None else {"weight": columns.weight[rows]}),
            **({} if abstained is None else {"abstained": columns.abstained[rows]}),
        )
    worst_group, worst = worst_of(values, higher_is_better)
    return GroupValues(values, worst_group, worst)


def worst_of(values: dict[Label, Tensor], higher_is_better: bool) -> tuple[Label, Tensor]:
    """Label and value of the worst group, NaN before everything."""
    sign = 1 if higher_is_better else -1
    label = min(values, key=lambda name: -np.inf if values[name].isnan() else sign * float(values[name]))
    return label, values[label]


def check_labels(group: Labels, n_rows: int) -> npt.NDArray[Any]:
    """Labels as an array of strings or whole numbers, (N,)."""
    labels = np.asarray(group.detach().cpu() if isinstance(group, Tensor) else group)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"Expected `group` of shape ({n_rows},), one label a row, but got {labels.shape}; pass every row's group"
        )
    if labels.dtype.kind not in "iuU":
        raise ValueError(
            f"Expected `group` to hold strings or whole numbers but got {labels.dtype}; name the groups, for example "
            "with `.astype(str)`"
        )
    return labels
