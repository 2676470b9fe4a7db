"""Shells over :mod:`lit_vlr.functional.abstention`; formulas and conventions are documented there.

They take the decision instead of a confidence. In a ``MetricCollection`` beside metrics of (confidence, correctness),
call ``update`` with keyword arguments: the collection hands each metric those it names. There ``abstained`` reaches
those metrics too, and means to them that the model declined *in words*; keep decisions by threshold out of it, in a
collection of their own.

Both are means: exact in constant memory.
"""

from __future__ import annotations

from lit_vlr.functional._validation import ArrayLike
from lit_vlr.functional.abstention import abstention_sums, answered_sums
from lit_vlr.metrics._base import SumMetric


class AbstentionRate(SumMetric):
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
        super().__init__(2, **kwargs)

    def update(self, abstained: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Args:
            abstained: booleans, or 0 and 1, (B,).
            weight: how often each row counts, (B,); once each by default.

        Raises:
            ValueError: if ``abstained`` is empty or holds anything but 0 and 1.
        """
        self._add(abstention_sums(abstained, weight))


class SelectiveAccuracy(SumMetric):
    """Accuracy of what was answered, NaN if nothing was: :func:`~lit_vlr.functional.selective_accuracy` as a metric.

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
        super().__init__(2, **kwargs)

    def update(self, correctness: ArrayLike, abstained: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Args:
            correctness: soft accuracies in [0, 1], (B,).
            abstained: booleans, or 0 and 1, (B,).
            weight: how often each row counts, (B,); once each by default.

        Raises:
            ValueError: for empty or unequal columns, correctness outside [0, 1], or ``abstained`` other than 0 and 1.
        """
        self._add(answered_sums(correctness, abstained, weight))
