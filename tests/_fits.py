"""Short fits of the embedded model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader

from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.optim import Optimisation
from tests._tiny import batch

HALF = (0.5, 0.5, 0.5)


def module(
    lora: Lora | None = Lora(r=4, dropout=0.1),  # noqa: B008
    bits: int = 4,
    optimisation: Optimisation = Optimisation(),  # noqa: B008
    **settings: Any,
) -> SelectiveVLM:
    """Not loaded yet."""
    torch.manual_seed(0)
    family = Llava("tiny-llava", Quantization(bits=bits), lora, image_mean=HALF, image_std=HALF, **settings)
    return SelectiveVLM(family, SFT(), optimisation)


def fit(
    made: SelectiveVLM,
    folder: Path,
    *callbacks: Callback,
    batches: list[Any] | None = None,
    epochs: int = 1,
    resume: Path | None = None,
) -> Trainer:
    """Three steps on scenes, or a step on each batch given; that many times over."""
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )
    rows = [batch(made.family, 4, start=4 * i) for i in range(3)] if batches is None else batches
    trainer.fit(made, DataLoader(rows, batch_size=None), ckpt_path=resume, weights_only=True)
    return trainer
