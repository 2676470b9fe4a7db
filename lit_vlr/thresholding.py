"""Callbacks that set the abstention threshold: fitted after each validation, or read from a threshold file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_vlr.functional import empirical_threshold
from lit_vlr.module import SelectiveVLM
from lit_vlr.threshold_file import ThresholdFile, read_threshold
from lit_vlr.types import Batch, Prediction


def threshold_at_risk(
    confidence: Tensor, correctness: Tensor, max_risk: float, abstained: Tensor | None = None
) -> float:
    """The lowest threshold whose risk among the answered is at most ``max_risk``; +inf if there is none.

    Empirical: it holds on the data it was fitted on, and promises nothing elsewhere.

    Args:
        confidence: (N,).
        correctness: soft accuracy in [0, 1], (N,).
        max_risk: in [0, 1].
        abstained: 1 where the model declined in words: no threshold answers it, (N,); nowhere by default.

    >>> threshold_at_risk(torch.tensor([0.9, 0.8, 0.3]), torch.tensor([1.0, 1.0, 0.0]), 0.1)
    0.8...
    """
    return empirical_threshold(confidence, correctness, max_risk, abstained=abstained).threshold


class FitThreshold(Callback):
    """Set ``module.threshold`` from the validation predictions, so that every checkpoint carries its own.

    Of several processes each sets the same one, chosen on the predictions of all.

    Args:
        max_risk: risk allowed among the answered calibration questions.

    Raises:
        ValueError: if ``max_risk`` is outside [0, 1].
    """

    def __init__(self, max_risk: float = 0.1) -> None:
        if not 0 <= max_risk <= 1:
            raise ValueError(f"Expected `max_risk` in [0, 1] but got {max_risk}; it is a share of wrong answers")
        self.max_risk = max_risk
        self._predictions: list[Prediction] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start anew."""
        self._predictions = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect; abstention does not hide an answer."""
        self._predictions.extend(outputs["predictions"])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit and log; before the checkpoint callback, which Lightning runs last."""
        assert isinstance(pl_module, SelectiveVLM)
        if trainer.sanity_checking:
            return
        rows = [(p.confidence, p.accuracy, p.declined) for p in _of_all_processes(self._predictions)]
        confidence, correctness, declined = torch.tensor(rows, dtype=torch.float64).T
        threshold = threshold_at_risk(confidence, correctness, self.max_risk, declined)
        pl_module.threshold.fill_(threshold)
        abstained = ((confidence < threshold) | (declined == 1)).double().mean()
        pl_module.log("val/selective/abstention_rate", abstained.float())
        pl_module.log("val/selective/threshold", min(threshold, 2.0))  # loggers draw no infinity


def _of_all_processes(predictions: list[Prediction]) -> list[Prediction]:
    """Each question once: a sampler that shares them out gives some twice, so that all processes have as many."""
    if not (dist.is_available() and dist.is_initialized()):
        return predictions
    parts: list[list[Prediction]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, predictions)
    return list({p.uid: p for part in parts for p in part}.values())


class ApplyThreshold(Callback):
    """Test and predict with the threshold of a file that `lit-vlr calibrate` wrote, instead of the checkpoint's.

    Put it before callbacks that record the threshold; `lit-vlr test --threshold FILE` does.

    Args:
        file: the threshold file.

    Raises:
        UserError: if the file cannot be used; or, when the run starts, if it is of another confidence score.
    """

    def __init__(self, file: Path) -> None:
        self.file = read_threshold(file)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the checkpoint is loaded."""
        self._apply(pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the checkpoint is loaded."""
        self._apply(pl_module)

    def describe(self) -> dict[str, Any]:
        """For the manifest of what is answered under it."""
        return self.file.describe()

    def _apply(self, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SelectiveVLM)
        print(f"lit-vlr: {apply_threshold(pl_module, self.file)}", file=sys.stderr)


def apply_threshold(module: SelectiveVLM, file: ThresholdFile) -> str:
    """Set the module's threshold and calibrator from a file; returns what has happened, in a line.

    Raises:
        UserError: if the threshold was chosen for another confidence score than the module's.
    """
    file.check_score(module.score_name, "the model")
    before = float(module.threshold)
    module.threshold.fill_(file.threshold)
    module.calibrator = file.calibrator
    return f"{file.say()}; it is used instead of the checkpoint's threshold {before:.4g}"
