"""Shell over :mod:`lit_vlr.functional.vqa_accuracy`; dialects are documented there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lit_vlr.functional import vqa_accuracy
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.vqa_accuracy import LeaveOneOut


class VQAAccuracy(Metric):
    """Mean soft accuracy in [0, 1]: :func:`~lit_vlr.functional.vqa_accuracy` as a metric.

    Args:
        dialect: whose normalisation.
        leave_one_out: ``index`` or ``value``.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = VQAAccuracy()
        >>> metric.update(["two", "red"], [["2"] * 10, ["red"] * 2 + ["blue"] * 8])
        >>> metric.compute()
        tensor(0.8000, dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    total: Tensor
    count: Tensor

    def __init__(self, dialect: VQADialect = "no_skip", leave_one_out: LeaveOneOut = "index", **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_choice("dialect", dialect, VQADialect)
        check_choice("leave_one_out", leave_one_out, LeaveOneOut)
        self.dialect: VQADialect = dialect
        self.leave_one_out: LeaveOneOut = leave_one_out
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        predictions: Sequence[str],
        answers: Sequence[Sequence[str]],
        answer_confidences: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            predictions: the generated answers, B of them.
            answers: what the annotators said, B sequences.
            answer_confidences: one a answer, B sequences; read with ``leave_one_out="value"`` only.

        Raises:
            TypeError: if ``predictions`` is one string, or not strings.
            ValueError: for unequal lengths, or the reasons of :func:`~lit_vlr.functional.vqa_accuracy`.
        """
        if isinstance(predictions, str):
            raise TypeError(f"Expected `predictions` to be a sequence of strings but got {predictions!r}; wrap it")
        if len(predictions) != len(answers):
            raise ValueError(
                f"Expected `predictions` and `answers` of one length but got {len(predictions)} and {len(answers)}; "
                "pass the annotators of each prediction as one entry"
            )
        confidences = [None] * len(answers) if answer_confidences is None else answer_confidences
        for prediction, said, sure in zip(predictions, answers, confidences, strict=True):
            self.total += vqa_accuracy(prediction, said, self.dialect, self.leave_one_out, sure)
            self.count += 1

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
