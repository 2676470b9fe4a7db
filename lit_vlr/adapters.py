"""Writes what was trained: the adapter as a PEFT folder, or a model trained in full as a checkpoint folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer

from lit_vlr.errors import UserError
from lit_vlr.module import SelectiveVLM


class SaveAdapter(Callback):
    """After training, write ``<run>/adapter``: what plain ``PeftModel.from_pretrained`` loads onto the base model.

    It holds the *last* weights; ``checkpoints/`` has the best ones too.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the adapter."""
        assert isinstance(pl_module, SelectiveVLM)
        if trainer.is_global_zero:
            _write(Path(trainer.default_root_dir) / "adapter", pl_module.family.save_adapter)


@runtime_checkable
class SavesModel(Protocol):
    """A family that can write a whole checkpoint."""

    def save_model(self, folder: str) -> None:
        """Write a checkpoint folder."""


class SaveModel(Callback):
    """After training in full, write ``<run>/model``: a checkpoint folder that the next stage starts from."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say before the training that it could not be saved.

        Raises:
            UserError: if the family writes no checkpoint folders.
        """
        assert isinstance(pl_module, SelectiveVLM)
        if not isinstance(pl_module.family, SavesModel):
            raise UserError(
                f"Expected a family that saves whole models but {type(pl_module.family).__name__} saves adapters; use "
                "lit_vlr.adapters.SaveAdapter"
            )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the model."""
        assert isinstance(pl_module, SelectiveVLM)
        assert isinstance(pl_module.family, SavesModel)
        if trainer.is_global_zero:
            _write(Path(trainer.default_root_dir) / "model", pl_module.family.save_model)


def _write(final: Path, save: Callable[[str], None]) -> None:
    """Write beside, then rename: a killed run leaves no half of a folder."""
    part = final.with_name(f"{final.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    save(str(part))
    shutil.rmtree(final, ignore_errors=True)
    part.replace(final)
