"""Shells over :mod:`lit_vlr.functional.risk_coverage`; formulas and conventions are documented there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torchmetrics.utilities.plot import plot_curve

from lit_vlr.functional import RiskCoverage, augrc, aurc, risk_coverage_curve
from lit_vlr.functional import _binned as binned
from lit_vlr.functional._validation import SelectiveColumns, check_choice
from lit_vlr.functional.risk_coverage import AURCConvention, curve_of
from lit_vlr.metrics._base import SelectiveMetric, SelectiveScalar


class RiskCoverageCurve(SelectiveMetric):
    """Risk and coverage at every threshold: :func:`~lit_vlr.functional.risk_coverage_curve` as a metric.

    With ``thresholds`` the curve has fewer points, and each of them is exact.

    Args:
        thresholds: None for every threshold, a number of cells or cuts for constant memory.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = RiskCoverageCurve()
        >>> metric.update([0.9, 0.6], [1.0, 0.0])
        >>> metric.update([0.3], [1.0])
        >>> metric.compute().risk
        tensor([0.0000, 0.5000, 0.3333], dtype=torch.float64)
    """

    higher_is_better = None

    def compute(self) -> RiskCoverage:
        """The curve over all rows of all processes, three columns of (K,)."""
        if self.thresholds is None:
            confidence, correctness, weight, abstained = self._columns_seen()
            curve = risk_coverage_curve(confidence, correctness, weight, abstained=abstained)
        else:
            curve = curve_of(self._binned_losses().achieved)
        return RiskCoverage(*(column.to(self.device) for column in curve))

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


class AURC(SelectiveScalar):
    """Area under the risk-coverage curve: :func:`~lit_vlr.functional.aurc` as a metric.

    Args:
        convention: ``mean``, ``trapezoid`` or ``geifman``.
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = AURC()
        >>> metric.update([0.9, 0.6], [1.0, 0.0])
        >>> metric.update([0.3], [1.0])
        >>> metric.compute()
        tensor(0.2778, dtype=torch.float64)

        In constant memory .6 and .62 share a cell and count as tied; the exact value is one of the bounds:

        >>> metric = AURC(thresholds=16)
        >>> metric.update([0.9, 0.62, 0.6], [1.0, 0.0, 1.0])
        >>> metric.compute(), metric.bounds()
        (tensor(0.1944, dtype=torch.float64),
         Bounds(low=tensor(0.1111, dtype=torch.float64), high=tensor(0.2778, dtype=torch.float64)))
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        convention: AURCConvention = "mean",
        thresholds: int | Sequence[float] | Tensor | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(thresholds, **kwargs)
        check_choice("convention", convention, AURCConvention)
        self.convention: AURCConvention = convention
        self.whole_weight = convention != "geifman"

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return aurc(confidence, correctness, self.convention, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.aurc(losses, self.convention)


class AUGRC(SelectiveScalar):
    """Area under the generalised risk-coverage curve: :func:`~lit_vlr.functional.augrc` as a metric.

    Args:
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = AUGRC()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.1667, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 0.5

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return augrc(confidence, correctness, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.augrc(losses)
