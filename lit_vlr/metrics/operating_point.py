"""Shells over :mod:`lit_vlr.functional.operating_point`; formulas and conventions are documented there.

Arguments are checked at construction: a wrong one should not cost an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lit_vlr.functional import _binned as binned
from lit_vlr.functional import coverage_at_risk, risk_at_coverage
from lit_vlr.functional._validation import ArrayLike, SelectiveColumns, check_selective
from lit_vlr.functional.operating_point import (
    check_cost,
    check_coverage,
    check_max_risk,
    check_threshold,
    reward_sums,
)
from lit_vlr.metrics._base import SelectiveScalar, SumMetric


class CoverageAtRisk(SelectiveScalar):
    """Largest coverage within a risk: :func:`~lit_vlr.functional.coverage_at_risk` as a metric.

    Args:
        max_risk: the risk in [0, 1].
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = CoverageAtRisk(max_risk=0.2)
        >>> metric.update([0.9, 0.8, 0.7, 0.6, 0.5], [0, 1, 1, 1, 1])
        >>> metric.compute()
        tensor(1., dtype=torch.float64)
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self, max_risk: float, thresholds: int | Sequence[float] | Tensor | None = None, **kwargs: object
    ) -> None:
        super().__init__(thresholds, **kwargs)
        self.max_risk = check_max_risk(max_risk)

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return coverage_at_risk(confidence, correctness, self.max_risk, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.coverage_at_risk(losses, self.max_risk)


class RiskAtCoverage(SelectiveScalar):
    """Risk at a coverage: :func:`~lit_vlr.functional.risk_at_coverage` as a metric.

    Args:
        coverage: the coverage in (0, 1].
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = RiskAtCoverage(coverage=0.5)
        >>> metric.update([0.9, 0.8, 0.8, 0.5], [1.0, 0.0, 1.0, 0.0])
        >>> metric.compute()
        tensor(0.3333, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self, coverage: float, thresholds: int | Sequence[float] | Tensor | None = None, **kwargs: object
    ) -> None:
        super().__init__(thresholds, **kwargs)
        self.coverage = check_coverage(coverage)

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return risk_at_coverage(confidence, correctness, self.coverage, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.risk_at_coverage(losses, self.coverage)


class EffectiveReliability(SumMetric):
    """Mean reward at a cost of wrong answers: :func:`~lit_vlr.functional.effective_reliability` as a metric.

    At a fixed threshold it is a mean, so it is exact in constant memory and takes no ``thresholds``.

    Args:
        cost: price of an answer with accuracy 0.
        threshold: rows with ``confidence >= threshold`` are answered; choose it with
            :func:`~lit_vlr.functional.best_threshold` on a calibration split. No default: answering everything has to
            be asked for (-inf).
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = EffectiveReliability(cost=1.0, threshold=0.7)
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.3333, dtype=torch.float64)
    """

    higher_is_better = True
    plot_upper_bound = 1.0

    def __init__(self, cost: float, threshold: float | Tensor, **kwargs: object) -> None:
        self.cost, self.threshold = check_cost(cost), check_threshold(threshold)
        super().__init__(2, self.cost, self.threshold, **kwargs)

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
            confidence: scores, higher is surer, ±inf allowed, (B,).
            correctness: soft accuracies in [0, 1], (B,).
            weight: how often each row counts, (B,); once each by default.
            abstained: 1 where the model declined in words: earns 0 as rows below the threshold do, (B,).

        Raises:
            ValueError: for empty or unequal columns, NaN confidence, correctness outside [0, 1], or ``abstained`` other
                than 0 and 1.
        """
        columns = check_selective(confidence, correctness, weight, abstained)
        self._add(reward_sums(columns, self.cost, self.threshold))
