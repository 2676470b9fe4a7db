"""The state that the means over questions share: a sum and a count."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lit_vlr.functional._text import check_rows


class MeanScore(Metric):
    """Mean of one score a question, in [0, 1]."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"compute_with_cache": False} | kwargs)  # see _base._Shell: a cache hangs other ranks
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, scores: Iterable[float]) -> None:
        """Add a batch, all of it or, where a row is refused, none."""
        values = list(scores)
        self.total += sum(values)
        self.count += len(values)

    def compute(self) -> Tensor:
        """The mean over all rows of all processes, a float64 scalar."""
        if self.count == 0:
            raise ValueError(f"Expected {type(self).__name__} to be updated before `compute` but it holds no samples")
        return self.total / self.count

    def plot(self, val: Any = None, ax: Any = None) -> Any:  # noqa: ANN401 - torchmetrics' own signature
        """Plot one value, or a sequence of values over steps.

        Args:
            val: what ``forward`` or ``compute`` returned; computed when left out.
            ax: a matplotlib axis to draw on.

        Returns:
            Figure and axis.
        """
        return self._plot(val, ax)


class AnswerMetric(MeanScore):
    """Base of the metrics of one text against its references, while subclasses name the function."""

    def update(self, predictions: Sequence[str], answers: Sequence[str | Sequence[str]]) -> None:
        """Add a batch.

        Args:
            predictions: the generated answers, B of them.
            answers: for each the reference, or several of which any will do.

        Raises:
            TypeError: if ``predictions`` or ``answers`` is one string, or they are not strings.
            ValueError: for no or unequal rows, or the reasons of the function whose shell this is.
        """
        check_rows("predictions", predictions, "answers", answers)
        self._add(self._score(*row) for row in zip(predictions, answers, strict=True))

    @abstractmethod
    def _score(self, prediction: str, answers: str | Sequence[str]) -> float:
        """Call the function whose shell this is."""
