"""Shells over :mod:`lit_vlr.functional.ranking`; formulas and conventions are documented there."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lit_vlr.functional import _binned as binned
from lit_vlr.functional import auroc, excess_augrc, excess_aurc, prediction_rejection_ratio
from lit_vlr.functional._validation import SelectiveColumns, check_choice
from lit_vlr.functional.ranking import ExcessConvention
from lit_vlr.metrics._base import SelectiveScalar


class ExcessAURC(SelectiveScalar):
    """AURC above that of the best order: :func:`~lit_vlr.functional.excess_aurc` as a metric.

    Args:
        convention: ``mean`` or ``trapezoid``.
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
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
    whole_weight = True

    def __init__(
        self,
        convention: ExcessConvention = "mean",
        thresholds: int | Sequence[float] | Tensor | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(thresholds, **kwargs)
        check_choice("convention", convention, ExcessConvention)
        self.convention: ExcessConvention = convention

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return excess_aurc(confidence, correctness, self.convention, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.excess_aurc(losses, self.convention)


class ExcessAUGRC(SelectiveScalar):
    """AUGRC above that of the best order: :func:`~lit_vlr.functional.excess_augrc` as a metric.

    Args:
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ExcessAUGRC()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.1111, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    plot_upper_bound = 0.25

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return excess_augrc(confidence, correctness, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.excess_augrc(losses)


class PredictionRejectionRatio(SelectiveScalar):
    """Gain over a random order: :func:`~lit_vlr.functional.prediction_rejection_ratio` as a metric.

    Args:
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`. Binned, it is also NaN where all accuracies agree to three
            decimals.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = PredictionRejectionRatio()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    higher_is_better = True
    plot_upper_bound = 1.0
    whole_weight = True

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return prediction_rejection_ratio(confidence, correctness, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.prediction_rejection_ratio(losses)


class AUROC(SelectiveScalar):
    """Right told from wrong: :func:`~lit_vlr.functional.auroc` as a metric, of *soft* correctness.

    Args:
        thresholds: None for the exact value, a number of cells or cuts for constant memory; see
            :class:`~lit_vlr.metrics.SelectiveMetric`.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = AUROC()
        >>> metric.update([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def _exact(self, columns: SelectiveColumns) -> Tensor:
        confidence, correctness, weight, abstained = columns
        return auroc(confidence, correctness, weight, abstained=abstained)

    def _binned(self, losses: binned.BinnedLosses) -> binned.Bounded:
        return binned.auroc(losses)
