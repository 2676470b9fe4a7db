"""Starting a fit from the weights of another one: `lit-vlr fit --start_from FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lit_vlr.checkpoints import read_checkpoint
from lit_vlr.errors import CheckpointError
from lit_vlr.module import SelectiveVLM, check_adapter_state


class StartFrom(Callback):
    """Begin with the model of an earlier fit: its adapters and projector, and nothing else of it.

    A learned confidence, the objective and the optimiser begin anew, so that a selector can be trained *afterwards*, on
    a model that was fine-tuned without one, and adversarial training after plain fine-tuning. A fit that is resumed
    (``--ckpt_path``) has its own weights, and keeps them.

    Args:
        checkpoint: a file of <run>/checkpoints.

    Raises:
        CheckpointError: if the file is missing or damaged; when the fit starts, if it is of a model with other adapters
            or on a base of another precision.
    """

    def __init__(self, checkpoint: Path) -> None:
        read_checkpoint(checkpoint)  # a mistake is said before the model is loaded
        self.checkpoint = Path(checkpoint)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the base is loaded, and after a resumed fit has its weights back."""
        assert isinstance(pl_module, SelectiveVLM)
        if trainer.ckpt_path is not None:
            return
        n = start_from(pl_module, self.checkpoint)
        if trainer.is_global_zero:
            print(f"lit-vlr: starts from the model of {self.checkpoint} ({n} tensors)", file=sys.stderr)


def start_from(module: SelectiveVLM, checkpoint: Path) -> int:
    """Copy a checkpoint's model into a module whose base is loaded; returns how many tensors that were.

    Raises:
        CheckpointError: if the file cannot be used, or is of a model with other adapters or on another base.
    """
    found = read_checkpoint(checkpoint)
    trained = {name: value for name, value in found["state_dict"].items() if name.startswith("family.")}
    check_adapter_state(trained, module.model_names(), module.state_dict())
    dtype = module.base_dtype()
    if found.get("compute_dtype", dtype) != dtype:
        raise CheckpointError(
            f"Expected a model on a base in {dtype} but {checkpoint} was trained on one in {found['compute_dtype']}; "
            f"give --model.family.init_args.quantization.compute_dtype={found['compute_dtype']}"
        )
    state = module.state_dict()
    with torch.no_grad():
        for name, value in trained.items():
            state[name].copy_(value)
    return len(trained)
