"""The state that the metric shells share: columns kept whole, because ranks need every row."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from lit_vlr.functional._validation import ArrayLike, check_selective


class ColumnMetric(Metric):
    """Keeps named columns of numbers and hands them to a function of :mod:`lit_vlr.functional` at the end.

    The columns are float64: a score keeps its ties, and ranks of a distributed run that were fed different precisions
    still gather tensors of one type. The MPS back-end has no float64; keep metrics on the CPU there.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, *columns: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        # A rank without any row contributes an empty tensor of the *metric's* dtype to the gather, which has to be the
        # dtype of the other ranks' columns.
        self.set_dtype(torch.float64)
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
            raise ValueError(f"Expected {type(self).__name__} to be updated before `compute` but it holds no samples")
        return [dim_zero_cat(getattr(self, column)) for column in self._columns]

    def plot(self, val: Any = None, ax: Any = None) -> Any:  # noqa: ANN401 - torchmetrics' own signature
        """Plot one value, or a sequence of values over steps.

        Args:
            val: what ``forward`` or ``compute`` returned; computed when left out.
            ax: a matplotlib axis to draw on.

        Returns:
            Figure and axis.
        """
        return self._plot(val, ax)


class SelectiveMetric(ColumnMetric):
    """Base of the metrics of (confidence, correctness): the state and the checks, while subclasses name the function.

    In a ``MetricCollection`` the metrics of this base share one copy of the columns (a compute group).
    """

    confidence: list[Tensor]
    correctness: list[Tensor]
    weight: list[Tensor]

    def __init__(self, **kwargs: object) -> None:
        super().__init__("confidence", "correctness", "weight", **kwargs)

    def update(self, confidence: ArrayLike, correctness: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Add a batch.

        Args:
            confidence: scores, higher is surer, ±inf allowed, (B,).
            correctness: soft accuracies in [0, 1], (B,).
            weight: how often each row counts, (B,); once each by default.

        Raises:
            ValueError: for empty or unequal columns, NaN confidence, or correctness outside [0, 1].
        """
        self._append(*check_selective(confidence, correctness, weight))

    def compute(self) -> Tensor:
        """The metric over all rows of all processes, a float64 scalar."""
        return self._evaluate(*self._gathered()).to(self.device)

    @abstractmethod
    def _evaluate(self, confidence: Tensor, correctness: Tensor, weight: Tensor) -> Tensor:
        """Call the function whose shell this is."""
