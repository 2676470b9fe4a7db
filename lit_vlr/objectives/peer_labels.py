"""Whether answers are right, as models say that were not trained on the questions."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.judging import teacher_forced_accuracy
from lit_vlr.predictions import read_predictions
from lit_vlr.types import Batch, VLMOutput


class PeerLabels:
    """Accuracies of answers to training questions by other models, by uid.

    A model is soon right about everything that it is trained on, so that its own answers there teach no doubt.

    Args:
        path: predictions of every training question, as `lit-vlr test` writes them. A trained model is used without
            them: a file that is gone is missed when a label is asked for.

    Raises:
        UserError: if a prediction has no accuracy, or there is none.

    Reference:
        Dancette et al., "Improving Selective Visual Question Answering by Learning from Your Peers", CVPR 2023,
        Section 3.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.accuracies: dict[str, float] | None = None
        if not path.is_file():
            return
        predictions = read_predictions(path)
        unlabelled = next((p.uid for p in predictions if p.accuracy is None), None)
        if unlabelled is not None or not predictions:
            whose = "it is empty" if unlabelled is None else f"{unlabelled} has no accuracy"
            raise UserError(
                f"Expected labelled predictions in {path} but {whose}; predict a split with annotators' answers"
            )
        self.accuracies = {p.uid: float(p.accuracy or 0.0) for p in predictions}

    def __call__(self, batch: Batch, device: torch.device) -> Tensor:
        """The accuracies of a batch, (B,).

        Raises:
            UserError: if a question has none, or the file is not there.
        """
        if self.accuracies is None:
            raise UserError(f"Expected `labels` at {self.path} but there is no such file; see `lit-vlr peers`")
        missing = [uid for uid in batch.uids if uid not in self.accuracies]
        if missing:
            raise UserError(
                f"Expected a label for {missing[0]} but there is none ({len(missing)} missing in this batch); `labels` "
                "has to hold a prediction of every training question"
            )
        return torch.tensor([self.accuracies[uid] for uid in batch.uids], device=device)


def answer_accuracy(
    labels: PeerLabels | None, training: bool, output: VLMOutput, batch: Batch, family: ModelFamily, dialect: VQADialect
) -> Tensor:
    """What is taken for the accuracy of a model's answers, (B,): labels where there are any, else its own.

    A calibration split has no labels of peers: outside of training the model itself is judged.
    """
    if labels is None or not training:
        return teacher_forced_accuracy(output, batch, family, dialect)
    return labels(batch, output.answer_logits.device)
