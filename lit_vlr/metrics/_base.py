"""The states that the metric shells share: columns, histograms and sums.

A metric of ranks needs every row, so by default it keeps the columns whole; with ``thresholds`` it keeps a histogram.
A metric that is a mean needs neither: its sums are exact in constant memory.
"""

from __future__ import annotations

import hashlib
import struct
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from lit_vlr.functional._binned import BinnedLosses, Bounded
from lit_vlr.functional._histogram import (
    Histogram,
    check_thresholds,
    confidence_blocks,
    correctness_blocks,
)
from lit_vlr.functional._sums import ratio
from lit_vlr.functional._validation import ArrayLike, SelectiveColumns, check_selective


class Bounds(NamedTuple):
    """What the metric over the same rows with ``thresholds=None`` lies between.

    Attributes:
        low: lower end, a float64 scalar.
        high: upper end; both are the value itself where nothing was binned.
    """

    low: Tensor
    high: Tensor


class _Shell(Metric):
    """Float64 states, an error where nothing was seen, and plots.

    Float64 keeps the ties of a score, and ranks of a distributed run that were fed different precisions still gather
    tensors of one type. The MPS back-end has no float64; keep metrics on the CPU there.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, **kwargs: object) -> None:
        # A rank that saw nothing new would answer a second `compute` from torchmetrics' cache, while the other ranks
        # wait for it in the exchange: they hang, or pair up with its next metric.
        super().__init__(**{"compute_with_cache": False} | kwargs)
        # A rank without any row contributes an empty tensor of the *metric's* dtype to the gather, which has to be the
        # dtype of the other ranks' columns.
        self.set_dtype(torch.float64)

    def _nothing_seen(self) -> ValueError:
        return ValueError(f"Expected {type(self).__name__} to be updated before `compute` but it holds no samples")

    def plot(self, val: Any = None, ax: Any = None) -> Any:  # noqa: ANN401 - torchmetrics' own signature
        """Plot one value, or a sequence of values over steps.

        Args:
            val: what ``forward`` or ``compute`` returned; computed when left out.
            ax: a matplotlib axis to draw on.

        Returns:
            Figure and axis.
        """
        return self._plot(val, ax)


class ColumnMetric(_Shell):
    """Keeps named columns of numbers and hands them to a function of :mod:`lit_vlr.functional` at the end."""

    def __init__(self, *columns: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._columns = columns
        for column in columns:
            self.add_state(column, default=[], dist_reduce_fx="cat")

    def _append(self, *batch: Tensor) -> None:
        """Add a batch, one checked vector a column, in the order of the columns."""
        for column, values in zip(self._columns, batch, strict=True):
            getattr(self, column).append(values.to(self.device))

    def _gathered(self) -> list[Tensor]:
        """Every column whole, (N,)."""
        if any(len(getattr(self, column)) == 0 for column in self._columns):
            raise self._nothing_seen()
        return [dim_zero_cat(getattr(self, column)) for column in self._columns]


class SumMetric(_Shell):
    """Keeps a vector of sums, exact in constant memory: (weight, weighted sum, ...).

    Two metrics with equal states share one copy in a ``MetricCollection``, and torchmetrics decides that on the first
    batch, where sums of different meaning may agree (no wrong answer yet: every cost gives one reward). The options are
    therefore part of the state's name.
    """

    def __init__(self, n_sums: int, *options: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._state = f"{type(self).__name__}_{_fingerprint(*options)}"
        self.add_state(self._state, default=torch.zeros(1 + n_sums, dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, sums: Tensor) -> None:
        """Add the sums of a batch, behind a count of batches that tells zero from nothing."""
        batch = torch.cat([sums.new_ones(1), sums]).to(self.device)
        setattr(self, self._state, getattr(self, self._state) + batch)

    def compute(self) -> Tensor:
        """The mean over all rows of all processes, a float64 scalar."""
        n_batches, *_ = sums = getattr(self, self._state)
        if n_batches == 0:
            raise self._nothing_seen()
        return self._value(sums[1:])

    def _value(self, sums: Tensor) -> Tensor:
        return ratio(sums)


class SelectiveMetric(ColumnMetric):
    r"""Base of the metrics of (confidence, correctness): states and checks, while subclasses name the functions.

    In a ``MetricCollection`` the metrics of this base share one copy of the state (a compute group).

    Args:
        thresholds: None keeps every row and is exact. A number of cells (4096 is usual; the cuts are those of
            :func:`~lit_vlr.functional.threshold_grid`), or increasing cuts of your own, keeps a histogram: memory is
            constant, processes exchange sums, and rows within a cell count as tied. :meth:`bounds` encloses the exact
            value, and with p the :meth:`fullest_cell`, AUGRC is off by at most p/8, AURC (``mean``, ``trapezoid``) by
            at most :math:`\tfrac{p}{4} H_N`, points of the curve by nothing, and C@R is never too high.

            *Proof.* Let C(x) be the exact cumulative loss of the x most confident of N rows. A histogram knows it at
            the ends of cells. Inside a cell of n rows and mean loss m, C grows by 0 to 1 a row, so it stays within
            n m (1 - m) of its chord, the value for ties, and between two straight lines from either end that meet at
            that distance. AUGRC is the integral of C over x, divided by N squared: a cell adds at most a triangle
            :math:`\tfrac12 n \cdot n m (1-m) \le n^2/8`, and :math:`\sum n^2 \le p N \cdot N`. AURC is the sum of
            C(k)/k divided by N: rank k adds at most :math:`n/4k \le pN/4k`, and the sum of 1/k is :math:`H_N`.
        kwargs: for :class:`torchmetrics.Metric`.
    """

    confidence: list[Tensor]
    correctness: list[Tensor]
    weight: list[Tensor]
    abstained: list[Tensor]

    whole_weight = False
    """Whether the metric depends on the number of rows, so that weights must be whole numbers."""

    def __init__(self, thresholds: int | Sequence[float] | Tensor | None = None, **kwargs: object) -> None:
        self.thresholds: Tensor | None
        if thresholds is None:
            super().__init__(*SelectiveColumns._fields, **kwargs)
            self.thresholds = None
            return
        super().__init__(**kwargs)
        self.thresholds = check_thresholds(thresholds)
        empty = Histogram.empty(len(self.thresholds) + 1)
        # Named by the cuts: on a first batch, histograms over different cuts may be equal (see SumMetric).
        self._sums = f"by_confidence_{_fingerprint(*self.thresholds.tolist())}", "by_correctness", "counts"
        for name, default in zip(self._sums, empty, strict=True):
            self.add_state(name, default=default, dist_reduce_fx="sum")

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
            abstained: 1 where the model declined *in words*, (B,); nowhere by default. A decision by threshold is no
                such thing: the threshold is what these metrics vary.

        Raises:
            ValueError: for empty or unequal columns, NaN confidence, correctness outside [0, 1], ``abstained`` other
                than 0 and 1, or fractional weights where the number of rows matters.
        """
        self._add(check_selective(confidence, correctness, weight, abstained, whole_weight=self.whole_weight))

    def _add(self, columns: SelectiveColumns) -> None:
        if self.thresholds is None:
            self._append(*columns)
            return
        batch = Histogram.of(columns, self.thresholds)
        for name, sums in zip(self._sums, batch, strict=True):
            setattr(self, name, getattr(self, name) + sums.to(self.device))

    def fullest_cell(self) -> Tensor:
        """Share of the weight in the fullest cell of all processes, which bounds what binning costs; 0 when exact."""
        with self._synced():
            if self.thresholds is None:
                return torch.zeros((), dtype=torch.float64)
            histogram = self._histogram()
            return histogram.by_confidence[0].max() / histogram.by_correctness[0].sum()

    def _synced(self) -> Any:  # noqa: ANN401 - a context manager of torchmetrics
        """Within it the states are those of all processes, as within `compute`."""
        return self.sync_context(
            dist_sync_fn=self.dist_sync_fn,
            should_sync=self._to_sync,
            should_unsync=self._should_unsync,
        )

    def _columns_seen(self) -> SelectiveColumns:
        return SelectiveColumns(*self._gathered())

    def _histogram(self) -> Histogram:
        """The sums of all batches, on the CPU."""
        histogram = Histogram(*(getattr(self, name).cpu() for name in self._sums))
        if histogram.counts[1] == 0:
            raise self._nothing_seen()
        if self.whole_weight and histogram.counts[2]:
            # Of a batch that another metric of the same compute group checked.
            raise ValueError(
                f"Expected `weight` to be whole numbers for {type(self).__name__} but got fractions in "
                f"{int(histogram.counts[2])} rows; repeat rows, or use AUGRC"
            )
        return histogram

    def _binned_losses(self) -> BinnedLosses:
        assert self.thresholds is not None
        histogram = self._histogram()
        return BinnedLosses(confidence_blocks(histogram, self.thresholds), correctness_blocks(histogram))


class SelectiveScalar(SelectiveMetric):
    """A selective metric whose value is one number."""

    def compute(self) -> Tensor:
        """The metric over all rows of all processes, a float64 scalar."""
        return self._value().value.to(self.device)

    def bounds(self) -> Bounds:
        """What the exact value over all rows of all processes lies between; see ``thresholds``."""
        with self._synced():
            value = self._value()
        return Bounds(value.low.to(self.device), value.high.to(self.device))

    def _value(self) -> Bounded:
        if self.thresholds is None:
            value = self._exact(self._columns_seen())
            return Bounded(value, value, value)
        return self._binned(self._binned_losses())

    @abstractmethod
    def _exact(self, columns: SelectiveColumns) -> Tensor:
        """Call the function whose shell this is."""

    @abstractmethod
    def _binned(self, losses: BinnedLosses) -> Bounded:
        """Call its twin for histograms."""


def _fingerprint(*numbers: float) -> str:
    """Letters and digits that differ where the numbers do."""
    return hashlib.sha256(struct.pack(f"{len(numbers)}d", *numbers)).hexdigest()[:16]
