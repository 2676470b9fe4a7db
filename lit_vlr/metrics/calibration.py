"""Shells over :mod:`lit_vlr.functional.calibration`; formulas and conventions are documented there.

Bins of equal width and squares are sums, so two of the three are exact in constant memory and take no ``thresholds``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.functional import _binned as binned
from lit_vlr.functional import adaptive_calibration_error
from lit_vlr.functional._sums import sums_in_cells
from lit_vlr.functional._validation import (
    ArrayLike,
    SelectiveColumns,
    check_answered_probability,
    check_selective,
)
from lit_vlr.functional.calibration import bin_sums, brier_sums, check_bins, ece_of
from lit_vlr.metrics._base import SelectiveScalar, SumMetric


class ExpectedCalibrationError(SumMetric):
    """Calibration over bins of equal width: :func:`~lit_vlr.functional.expected_calibration_error` as a metric.

    Args:
        n_bins: number of bins.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ExpectedCalibrationError(n_bins=2)
        >>> metric.update([0.9, 0.5], [1.0, 1.0])
        >>> metric.update([0.3], [0.0])
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, n_bins: int = 15, **kwargs: object) -> None:
        self.n_bins = check_bins(n_bins)
        super().__init__(1 + self.n_bins, **kwargs)

    def update(
        self,
        confidence: ArrayLike,
        correctness: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        abstained: ArrayLike | None = None,
    ) -> None:
        """Add a batch.

        Args:
            confidence: probabilities in [0, 1], (B,).
            correctness: soft accuracies in [0, 1], (B,).
            weight: how often each row counts, (B,); once each by default.
            abstained: 1 where the model declined in words: left out, (B,); nowhere by default.

        Raises:
            ValueError: for empty or unequal columns, confidence or correctness outside [0, 1], or ``abstained`` other
                than 0 and 1.
        """
        self._add(bin_sums(check_selective(confidence, correctness, weight, abstained), self.n_bins))

    def _value(self, sums: Tensor) -> Tensor:
        return ece_of(sums)


class BrierScore(SumMetric):
    """Mean squared gap: :func:`~lit_vlr.functional.brier_score` as a metric.

    Example:
        >>> metric = BrierScore()
        >>> metric.update([0.9, 0.5], [1.0, 1.0])
        >>> metric.update([0.3], [0.0])
        >>> metric.compute()
        tensor(0.1167, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, **kwargs: object) -> None:
        super().__init__(2, **kwargs)

    def update(
        self,
        confidence: ArrayLike,
        correctness: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        abstained: ArrayLike | None = None,
    ) -> None:
        """Add a batch.

        Args:
            confidence: probabilities in [0, 1], (B,).
            correctness: soft accuracies in [0, 1], (B,).
            weight: how often each row counts, (B,); once each by default.
            abstained: 1 where the model declined in words: left out, (B,); nowhere by default.

        Raises:
            ValueError: for empty or unequal columns, confidence or correctness outside [0, 1], or ``abstained`` other
                than 0 and 1.
        """
        self._add(brier_sums(check_selective(confidence, correctness, weight, abstained)))


class AdaptiveCalibrationError(SelectiveScalar):
    r"""Calibration over bins of equal mass: :func:`~lit_vlr.functional.adaptive_calibration_error` as a metric.

    Bins of equal mass depend on all rows, so this one keeps them, or a histogram.

    Args:
        n_bins: number of bins M.
        thresholds: None for the exact value, a number of cells or cuts for constant memory, off by at most (M - 1) p
            with p the share of the fullest cell among the answered rows; see :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = AdaptiveCalibrationError(n_bins=2)
        >>> metric.update([0.9, 0.5, 0.3], [1.0, 1.0, 0.0])
        >>> metric.compute()
        tensor(0.1333, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    confidence_sum: Tensor

    def __init__(
        self,
        n_bins: int = 15,
        thresholds: int | Sequence[float] | Tensor | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(thresholds, **kwargs)
        self.n_bins = check_bins(n_bins)
        if self.thresholds is not None:
            empty = torch.zeros(len(self.thresholds) + 1, dtype=torch.float64)
            self.add_state("confidence_sum", default=empty, dist_reduce_fx="sum")

    def _add(self, columns: SelectiveColumns) -> None:
        rows = check_answered_probability(columns)
        super()._add(columns)
        if self.thresholds is not None:
            cell = torch.bucketize(rows.confidence, self.thresholds, right=True)
            sums = sums_in_cells(cell, len(self.thresholds) + 1, rows.weight * rows.confidence)
            self.confidence_sum = self.confidence_sum + sums[0].to(self.device)

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return adaptive_calibration_error(confidence, correctness, self.n_bins, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        assert self.thresholds is not None
        return binned.adaptive_calibration_error(losses, self.confidence_sum.cpu(), self.thresholds, self.n_bins)
