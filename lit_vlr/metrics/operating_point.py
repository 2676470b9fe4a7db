"""Shells over :mod:`lit_vlr.functional.operating_point`; formulas and conventions are documented there.

Arguments are checked at construction: a wrong one should not cost an epoch.
"""

from __future__ import annotations

from torch import Tensor

from lit_vlr.functional import coverage_at_risk, effective_reliability, risk_at_coverage
from lit_vlr.functional.operating_point import check_cost, check_coverage, check_max_risk, check_threshold
from lit_vlr.metrics._base import SelectiveMetric


class CoverageAtRisk(SelectiveMetric):
    """Largest coverage within a risk: :func:`~lit_vlr.functional.coverage_at_risk` as a metric.

    Args:
        max_risk: the risk in [0, 1].
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

    def __init__(self, max_risk: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.max_risk = check_max_risk(max_risk)

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return coverage_at_risk(confidence, correctness, self.max_risk, weight)


class RiskAtCoverage(SelectiveMetric):
    """Risk at a coverage: :func:`~lit_vlr.functional.risk_at_coverage` as a metric.

    Args:
        coverage: the coverage in (0, 1].
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

    def __init__(self, coverage: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.coverage = check_coverage(coverage)

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return risk_at_coverage(confidence, correctness, self.coverage, weight)


class EffectiveReliability(SelectiveMetric):
    """Mean reward at a cost of wrong answers: :func:`~lit_vlr.functional.effective_reliability` as a metric.

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
        super().__init__(**kwargs)
        self.cost = check_cost(cost)
        self.threshold = check_threshold(threshold)

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return effective_reliability(confidence, correctness, self.cost, self.threshold, weight)
