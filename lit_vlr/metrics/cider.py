"""Shell over :mod:`lit_vlr.functional.cider`; conventions are documented there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from lit_vlr.functional import ABSTENTION_PHRASES, cider
from lit_vlr.functional._text import check_references, check_rows, check_text
from lit_vlr.functional.cider import load_scorer
from lit_vlr.functional.pairing import check_unique_ids
from lit_vlr.metrics.answers import check_phrases


class CIDEr(Metric):
    """CIDEr-D of a whole set of captions: :func:`~lit_vlr.functional.cider` as a metric.

    Every caption is kept, because a word's weight depends on all images. ``forward`` adds a batch and returns NaN: a
    batch has no CIDEr.

    An image that comes twice with one caption and the same references counts once, since distributed samplers fill
    their last round with repetitions; with two different captions it is an error.

    Args:
        abstention_phrases: what counts as declining, and scores 0.
        kwargs: for :class:`torchmetrics.Metric`.

    Raises:
        ImportError: if ``pycocoevalcap`` is not installed, at once and not after hours of generation.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 10.0

    rows: list[Tensor]

    def __init__(self, abstention_phrases: Sequence[str] = ABSTENTION_PHRASES, **kwargs: object) -> None:
        super().__init__(**{"compute_with_cache": False} | kwargs)  # see _base._Shell: a cache hangs other ranks
        load_scorer()
        self.abstention_phrases = check_phrases(abstention_phrases)
        # Only tensors are gathered, so rows are kept as the bytes of JSON lines. A rank without any row contributes an
        # empty tensor of the metric's dtype, which has to be that of the bytes.
        self.set_dtype(torch.uint8)
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[str], references: Sequence[Sequence[str]], ids: Sequence[str]) -> None:
        """Add a batch.

        Args:
            predictions: the generated captions, B of them.
            references: what people said of each image, B sequences.
            ids: the images' ids, B strings.

        Raises:
            TypeError: for captions or ids that are no strings.
            ValueError: for no or unequal rows, no or blank references, or an id that occurs twice.
        """
        check_rows("predictions", predictions, "references", references)
        check_rows("predictions", predictions, "ids", ids)
        check_unique_ids("predictions", ids)
        lines = []
        for uid, prediction, captions in zip(ids, predictions, references, strict=True):
            check_text("predictions", prediction)
            lines.append(json.dumps([uid, prediction, list(check_references("references", captions))]) + "\n")
        text = bytearray("".join(lines), encoding="ascii")
        self.rows.append(torch.frombuffer(text, dtype=torch.uint8).to(self.device))

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - torchmetrics' own signature
        """Add a batch; the value of a batch is undefined."""
        self.update(*args, **kwargs)
        return torch.tensor(torch.nan, dtype=torch.float64, device=self.device)

    def compute(self) -> Tensor:
        """The mean over all images of all processes, a float64 scalar in [0, 10]."""
        if len(self.rows) == 0:
            raise ValueError(f"Expected {type(self).__name__} to be updated before `compute` but it holds no samples")
        text = bytes(dim_zero_cat(self.rows).tolist()).decode("ascii")
        distinct = {line: json.loads(line) for line in text.splitlines()}.values()
        check_unique_ids("predictions", [uid for uid, _, _ in distinct])
        predictions = {uid: prediction for uid, prediction, _ in distinct}
        references = {uid: captions for uid, _, captions in distinct}
        mean = cider(predictions, references, self.abstention_phrases).mean
        return torch.tensor(mean, dtype=torch.float64, device=self.device)

    def plot(self, val: Any = None, ax: Any = None) -> Any:  # noqa: ANN401 - torchmetrics' own signature
        """Plot one value, or a sequence of values over steps.

        Args:
            val: what ``compute`` returned; computed when left out.
            ax: a matplotlib axis to draw on.

        Returns:
            Figure and axis.
        """
        return self._plot(val, ax)
