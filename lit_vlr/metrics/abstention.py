"""Shells over :mod:`lit_vlr.functional.abstention`; formulas and conventions are documented there.

They take the decision instead of a confidence. In a ``MetricCollection`` beside metrics of (confidence, correctness),
call ``update`` with keyword arguments: the collection hands each metric those it names.
"""

from __future__ import annotations

from torch import Tensor

from lit_vlr.functional import abstention_rate, selective_accuracy
from lit_vlr.functional._validation import ArrayLike, check_correctness, check_same_length, check_weight
from lit_vlr.functional.abstention import check_abstained
from lit_vlr.metrics._base import ColumnMetric


class AbstentionRate(ColumnMetric):
    """Fraction abstained: :func:`~lit_vlr.functional.abstention_rate` as a metric.

    Example:
        >>> metric = AbstentionRate()
        >>> metric.update([True, False])
        >>> metric.update([False, False])
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    higher_is_better = None
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, **kwargs: object) -> None:
        super().__init__("abstained", "weight", **kwargs)

    def update(self, abstained: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Args:
            abstained: booleans, or 0 and 1, (B,).
            weight: how often each row counts, (B,); once each by default.

        Raises:
            ValueError: if ``abstained`` is empty or holds anything but 0 and 1.
        """
        decided = check_abstained(abstained)
        self._append(decided, check_weight(weight, decided))

    def compute(self) -> Tensor:
        """The rate over all rows of all processes, a float64 scalar."""
        return abstention_rate(*self._gathered()).to(self.device)


class SelectiveAccuracy(ColumnMetric):
    """Accuracy of what was answered: :func:`~lit_vlr.functional.selective_accuracy` as a metric.

    Example:
        >>> metric = SelectiveAccuracy()
        >>> metric.update([1.0, 0.6, 0.0], [False, False, True])
        >>> metric.compute()
        tensor(0.8000, dtype=torch.float64)
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, **kwargs: object) -> None:
        super().__init__("correctness", "abstained", "weight", **kwargs)

    def update(self, correctness: ArrayLike, abstained: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Args:
            correctness: soft accuracies in [0, 1], (B,).
            abstained: booleans, or 0 and 1, (B,).
            weight: how often each row counts, (B,); once each by default.

        Raises:
            ValueError: for empty or unequal columns, correctness outside [0, 1], or ``abstained`` other than 0 and 1.
        """
        accuracy, decided = check_correctness(correctness), check_abstained(abstained)
        check_same_length("correctness", accuracy, "abstained", decided)
        self._append(accuracy, decided, check_weight(weight, accuracy))

    def compute(self) -> Tensor:
        """The accuracy over all answered rows of all processes, a float64 scalar; NaN if nothing was answered."""
        return selective_accuracy(*self._gathered()).to(self.device)
