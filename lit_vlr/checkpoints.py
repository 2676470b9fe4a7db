"""Reading checkpoint files, with errors that name them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from lit_vlr.errors import CheckpointError


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a lit_vlr checkpoint; nothing in it is executed.

    Raises:
        CheckpointError: if the file is missing, damaged, or not a Lightning checkpoint of `SelectiveVLM`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"Expected a checkpoint at {path} but there is no such file; see <run>/checkpoints")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"Expected a checkpoint but {path} cannot be read ({type(error).__name__}); it is damaged, or no checkpoint"
        ) from error
    if not isinstance(checkpoint, dict) or "threshold" not in checkpoint.get("state_dict", {}):
        raise CheckpointError(
            f"Expected a lit_vlr checkpoint but {path} is of another model; use one from <run>/checkpoints"
        )
    return checkpoint
