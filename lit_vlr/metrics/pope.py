"""Shell over :mod:`lit_vlr.functional.pope`; definitions are documented there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lit_vlr.functional import ABSTENTION_PHRASES
from lit_vlr.functional.pope import YesNoCounts, count_yes_no, scores_from_counts
from lit_vlr.metrics.answers import check_phrases


class POPEScores(Metric):
    """Scores of yes/no answers and of declining: :func:`~lit_vlr.functional.pope_scores` as a metric.

    ``compute`` returns a dictionary, which a ``MetricCollection`` and ``log_dict`` spread out under its keys.

    Args:
        abstention_phrases: what counts as declining.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = POPEScores()
        >>> metric.update(["Yes", "No.", "unanswerable"], ["yes", "yes", "no"])
        >>> scores = metric.compute()
        >>> round(scores["accuracy"].item(), 4), round(scores["abstention_rate"].item(), 4)
        (0.5, 0.3333)
    """

    is_differentiable = False
    higher_is_better = None  # of the yes-ratio and the abstention rate neither is
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    counts: Tensor

    def __init__(self, abstention_phrases: Sequence[str] = ABSTENTION_PHRASES, **kwargs: object) -> None:
        super().__init__(**{"compute_with_cache": False} | kwargs)  # see _base._Shell: a cache hangs other ranks
        self.abstention_phrases = check_phrases(abstention_phrases)
        zeros = torch.zeros(len(YesNoCounts._fields), dtype=torch.int64)
        self.add_state("counts", default=zeros, dist_reduce_fx="sum")

    def update(self, predictions: Sequence[str], labels: Sequence[str]) -> None:
        """Add a batch.

        Args:
            predictions: the generated answers, B of them.
            labels: "yes" or "no", B of them.

        Raises:
            TypeError: for what is no string.
            ValueError: for no or unequal rows, or a label other than yes and no.
        """
        counts = count_yes_no(predictions, labels, self.abstention_phrases)
        self.counts += torch.tensor(counts, device=self.counts.device)

    def compute(self) -> dict[str, Tensor]:
        """The scores over all rows of all processes, float64 scalars; NaN where a denominator is 0."""
        if not self.counts.any():
            raise ValueError(f"Expected {type(self).__name__} to be updated before `compute` but it holds no samples")
        scores = scores_from_counts(YesNoCounts(*self.counts.tolist()))
        return {
            name: torch.tensor(value, dtype=torch.float64, device=self.device)
            for name, value in scores._asdict().items()
        }

    def plot(self, val: Any = None, ax: Any = None) -> Any:  # noqa: ANN401 - torchmetrics' own signature
        """Plot one value, or a sequence of values over steps.

        Args:
            val: what ``forward`` or ``compute`` returned; computed when left out.
            ax: a matplotlib axis to draw on.

        Returns:
            Figure and axis.
        """
        return self._plot(val, ax)
