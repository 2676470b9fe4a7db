"""Shells over :mod:`lit_vlr.functional.risk_coverage`; formulas and conventions are documented there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor
from torchmetrics.utilities.plot import plot_curve

from lit_vlr.functional import (
    RiskCoverage,
    augrc,
    aurc,
    excess_aurc,
    prediction_rejection_ratio,
    risk_coverage_curve,
)
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional.risk_coverage import AURCConvention
from lit_vlr.metrics._base import SelectiveMetric


class RiskCoverageCurve(SelectiveMetric):
    """Risk and coverage at every threshold: :func:`~lit_vlr.functional.risk_coverage_curve` as a metric.

    Example:
        >>> metric = RiskCoverageCurve()
        >>> metric.update([0.9, 0.6], [1.0, 0.0])
        >>> metric.update([0.3], [1.0])
        >>> metric.compute().risk
        tensor([0.0000, 0.5000, 0.3333], dtype=torch.float64)
    """

    higher_is_better = None

    def compute(self) -> RiskCoverage:  # type: ignore[override]
        """The curve over all rows of all processes, three columns of (K,)."""
        curve = risk_coverage_curve(*self._gathered())
        return RiskCoverage(*(column.to(self.device) for column in curve))

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        raise NotImplementedError("A curve is no scalar; see compute")

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Keep columns columns: torchmetrics squeezes tensors of one element, which is what all-tied scores give."""
        wrapped = super()._wrap_compute(compute)

        @functools.wraps(wrapped)
        def columns(*args: object, **kwargs: object) -> RiskCoverage:
            return RiskCoverage(*(column.reshape(-1) for column in wrapped(*args, **kwargs)))

        return columns

    def plot(  # type: ignore[override]
        self,
        curve: RiskCoverage | None = None,
        score: Tensor | None = None,
        ax: Any = None,  # noqa: ANN401 - matplotlib is imported by torchmetrics, and only there
    ) -> Any:  # noqa: ANN401
        """Draw risk over coverage.

        Args:
            curve: what ``forward`` or ``compute`` returned; computed when left out.
            score: an area to name in the legend.
            ax: a matplotlib axis to draw on.

        Returns:
            Figure (None where ``ax`` was given) and axis.
        """
        curve = self.compute() if curve is None else curve
        return plot_curve(curve, score=score, ax=ax, label_names=("Coverage", "Risk"), name=type(self).__name__)


class AURC(SelectiveMetric):
    """Area under the risk-coverage curve: :func:`~lit_vlr.functional.aurc` as a metric.

    Args:
        convention: ``mean``, ``trapezoid`` or ``geifman``.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = AURC()
        >>> metric.update([0.9, 0.6], [1.0, 0.0])
        >>> metric.update([0.3], [1.0])
        >>> metric.compute()
        tensor(0.2778, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, convention: AURCConvention = "mean", **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_choice("convention", convention, AURCConvention)
        self.convention: AURCConvention = convention

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return aurc(confidence, correctness, self.convention, weight)


class ExcessAURC(SelectiveMetric):
    """AURC above that of the best order: :func:`~lit_vlr.functional.excess_aurc` as a metric.

    Args:
        convention: ``mean`` or ``trapezoid``.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ExcessAURC()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.1667, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, convention: Literal["mean", "trapezoid"] = "mean", **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_choice("convention", convention, Literal["mean", "trapezoid"])
        self.convention: Literal["mean", "trapezoid"] = convention

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return excess_aurc(confidence, correctness, self.convention, weight)


class AUGRC(SelectiveMetric):
    """Area under the generalised risk-coverage curve: :func:`~lit_vlr.functional.augrc` as a metric.

    Example:
        >>> metric = AUGRC()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.1667, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 0.5

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return augrc(confidence, correctness, weight)


class PredictionRejectionRatio(SelectiveMetric):
    """Gain over a random order: :func:`~lit_vlr.functional.prediction_rejection_ratio` as a metric.

    Example:
        >>> metric = PredictionRejectionRatio()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    higher_is_better = True
    plot_upper_bound = 1.0

    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        return prediction_rejection_ratio(confidence, correctness, weight)
