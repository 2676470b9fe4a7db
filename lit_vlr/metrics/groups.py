"""Shell over :mod:`lit_vlr.functional.groups`: any metric of this package, group by group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from lit_vlr.functional._validation import ArrayLike, check_selective
from lit_vlr.functional.groups import Label, Labels, check_labels, worst_of
from lit_vlr.metrics._base import _Shell

WORST = "worst"


class ByGroup(_Shell):
    """A metric of each group and of the worst one: :func:`~lit_vlr.functional.by_group` as a metric.

    The states of all groups are states of this metric: however the groups are spread over processes, every process
    exchanges the same tensors in the same order, also for groups it has not seen.

    Args:
        metric: what to evaluate, never updated itself: any metric of (confidence, correctness) in this package that has
            a direction, exact or with ``thresholds``.
        groups: labels of the groups, strings or whole numbers. They have to be known beforehand, so that a group that
            one process never meets still has a place there.
        kwargs: for :class:`torchmetrics.Metric`.

    Raises:
        ValueError: for a metric without a direction, or labels that are none, repeated, or "worst".

    Example:
        >>> from lit_vlr.metrics import AURC
        >>> metric = ByGroup(AURC(), groups=["clean", "attacked"])
        >>> metric.update([0.9, 0.8], [1.0, 0.0], ["clean", "clean"])
        >>> metric.update([0.9, 0.8], [0.0, 1.0], ["attacked", "attacked"])
        >>> metric.compute()
        {'clean': tensor(0.2500, dtype=torch.float64),
         'attacked': tensor(0.7500, dtype=torch.float64),
         'worst': tensor(0.7500, dtype=torch.float64)}
    """

    n_rows: Tensor

    def __init__(self, metric: Metric, groups: Sequence[Label], **kwargs: object) -> None:
        super().__init__(**kwargs)
        if metric.higher_is_better is None:
            raise ValueError(
                f"Expected `metric` with a direction but got {type(metric).__name__}, of which neither high nor low is "
                "better; use `lit_vlr.functional.by_group` and name one"
            )
        names = [str(label) for label in groups]
        if not names or len(set(names)) < len(names) or WORST in names:
            raise ValueError(
                f"Expected `groups` to be different labels, at least one and none of them {WORST!r}, but got "
                f"{list(groups)}; name each group once"
            )
        self.groups = names
        # Its states are exchanged for those of one group after the other; its own `update` and `compute` are called on
        # the class, past the caching and synchronisation that torchmetrics wraps around them.
        self._metric = metric.clone()
        self._metric.reset()
        for name, default in self._metric._defaults.items():
            for index in range(len(names)):
                self.add_state(self._name(name, index), _fresh(default), self._metric._reductions[name])
        self.add_state("n_rows", torch.zeros(len(names), dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        confidence: ArrayLike,
        correctness: ArrayLike,
        group: Labels,
        weight: ArrayLike | None = None,
        *,
        abstained: ArrayLike | None = None,
    ) -> None:
        """Add a batch.

        Args:
            confidence: scores, (B,).
            correctness: soft accuracies in [0, 1], (B,).
            group: labels among ``groups``, (B,).
            weight: how often each row counts, (B,); once each by default.
            abstained: 1 where the model declined in words, (B,); nowhere by default.

        Raises:
            ValueError: for an unknown label, or the reasons of the metric.
        """
        columns = check_selective(confidence, correctness, weight, abstained)
        labels = check_labels(group, len(columns.confidence)).astype(str)
        unknown = sorted(set(labels.tolist()) - set(self.groups))
        if unknown:
            raise ValueError(f"Expected `group` to hold labels among {self.groups} but got {unknown}; name every group")
        given = columns._asdict()
        if abstained is None:
            del given["abstained"]
        for index, label in enumerate(self.groups):
            # Rows of weight zero leave no trace, and a batch of nothing else is refused by the metric.
            rows = torch.from_numpy(labels == label) & (columns.weight > 0)
            if bool(rows.any()):
                self._hand_over(index)
                batch = self._metric._filter_kwargs(**{name: column[rows] for name, column in given.items()})
                type(self._metric).update(self._metric, **batch)
                self._take_back(index)
                self.n_rows[index] += rows.sum()

    def compute(self) -> dict[str, Tensor]:
        """The metric of each group over all rows of all processes, and the worst, float64 scalars by label.

        A group without rows is NaN and no candidate for the worst. A group whose rows leave the metric undefined is
        NaN, and then so is the worst.
        """
        seen: dict[Label, Tensor] = {}
        for index, label in enumerate(self.groups):
            if self.n_rows[index]:
                self._hand_over(index)
                seen[label] = type(self._metric).compute(self._metric)
        self._take_back(None)
        if not seen:
            raise self._nothing_seen()
        nan = torch.tensor(float("nan"), dtype=torch.float64, device=self.device)
        values = {label: seen.get(label, nan) for label in self.groups}
        return values | {WORST: worst_of(seen, higher_is_better=bool(self.higher_is_better))[1]}

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """That of the metric."""
        return self._metric.higher_is_better

    def _hand_over(self, index: int) -> None:
        """Give the metric the states of a group."""
        for name in self._metric._defaults:
            setattr(self._metric, name, getattr(self, self._name(name, index)))

    def _take_back(self, index: int | None) -> None:
        """Keep the metric's states as those of a group, and leave the metric empty."""
        for name, default in self._metric._defaults.items():
            if index is not None:
                setattr(self, self._name(name, index), getattr(self._metric, name))
            setattr(self._metric, name, _fresh(default))

    @staticmethod
    def _name(state: str, index: int) -> str:
        return f"{state}_of_group_{index}"


def _fresh(default: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    """A state that shares nothing with the default, nor with another group."""
    return default.clone() if isinstance(default, Tensor) else []
