"""What `lit-vlr predict` prints: a JSON line an answer, as it is given."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lit_vlr.infinities import to_json
from lit_vlr.module import SelectiveVLM
from lit_vlr.predictor import SelectivePrediction
from lit_vlr.types import Batch, Prediction


class PrintAnswers(Callback):
    """Print ``uid``, ``question`` and the fields of `SelectivePrediction`; ``answer`` is null where it abstains.

    Infinite numbers are the strings ``inf`` and ``-inf``.
    """

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A batch at once, so that a reader at the other end of a pipe gets them early."""
        assert isinstance(pl_module, SelectiveVLM)
        print("\n".join(_line(one, float(pl_module.threshold)) for one in outputs), flush=True)


def _line(prediction: Prediction, threshold: float) -> str:
    found = asdict(SelectivePrediction.of(prediction, threshold))
    numbers = {key: to_json(value) if isinstance(value, float) else value for key, value in found.items()}
    row = {"uid": prediction.uid, "question": prediction.question, **numbers}
    return json.dumps(row, allow_nan=False)  # ASCII: generated text may hold what a terminal has no bytes for
