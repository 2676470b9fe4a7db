"""Writes the trained adapter as a PEFT folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from lit_vlr.module import SelectiveVLM


class SaveAdapter(Callback):
    """After training, write ``<run>/adapter``: what plain ``PeftModel.from_pretrained`` loads onto the base model.

    It holds the *last* weights; ``checkpoints/`` has the best ones too.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write beside, then rename: a killed run leaves no half of an adapter."""
        assert isinstance(pl_module, SelectiveVLM)
        if not trainer.is_global_zero:
            return
        final = Path(trainer.default_root_dir) / "adapter"
        part = final.with_name("adapter.part")
        shutil.rmtree(part, ignore_errors=True)
        pl_module.family.save_adapter(str(part))
        shutil.rmtree(final, ignore_errors=True)
        part.replace(final)
