"""Shell over :mod:`lit_vlr.functional.vqa_accuracy`; dialects are documented there."""

from __future__ import annotations

from collections.abc import Sequence

from lit_vlr.functional import vqa_accuracy
from lit_vlr.functional._text import check_rows
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.vqa_accuracy import LeaveOneOut
from lit_vlr.metrics._mean import MeanScore


class VQAAccuracy(MeanScore):
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

    def __init__(self, dialect: VQADialect = "no_skip", leave_one_out: LeaveOneOut = "index", **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_choice("dialect", dialect, VQADialect)
        check_choice("leave_one_out", leave_one_out, LeaveOneOut)
        self.dialect: VQADialect = dialect
        self.leave_one_out: LeaveOneOut = leave_one_out

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
            ValueError: for no or unequal rows, or the reasons of :func:`~lit_vlr.functional.vqa_accuracy`.
        """
        check_rows("predictions", predictions, "answers", answers)
        confidences = [None] * len(answers) if answer_confidences is None else answer_confidences
        check_rows("answers", answers, "answer_confidences", confidences)
        self._add(
            vqa_accuracy(prediction, said, self.dialect, self.leave_one_out, sure)
            for prediction, said, sure in zip(predictions, answers, confidences, strict=True)
        )
