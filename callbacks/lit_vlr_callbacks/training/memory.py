"""What each sample's last attack found, kept from one epoch to the next."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation
from lit_vlr_callbacks.training.base import Turn
from lit_vlr_callbacks.training.param_file import ParamFile, decode, encode


class SampleMemory:
    """The attack parameters of every sample, by a number or name that its batch carries.

    They lie in a memory-mapped file beside the checkpoints (in the Trainer's root where there are none), as uint8: two
    bytes a number and 24 more a sample, 0.7 MB for a picture of 3 × 336 × 336. The error of what is read back is at
    most half a step of the range, which for `Linf` is half of 2ε/255. The file is removed when the fit is finished and
    stays when it breaks off, so that a resumed run goes on with it. Under DDP each process has a file of its own: a
    sample that moves to another process starts there without memory.

    Args:
        index_key: name or index of the batch entry with an integer or a text for each sample, the same in each epoch.
        max_gigabytes: of all processes' files together; samples that find no room are attacked from a random start.
        keep_file: keep the file of a finished fit, to resume it with more epochs.

    Raises:
        ValueError: if there is no room at all.
    """

    def __init__(self, index_key: int | str = "index", max_gigabytes: float = 4.0, keep_file: bool = False) -> None:
        if not max_gigabytes > 0:
            raise ValueError(f"Expected `max_gigabytes` above 0 but got {max_gigabytes}; it bounds the file on disk")
        self.index_key = index_key
        self.max_gigabytes = max_gigabytes
        self.keep_file = keep_file
        self._run: int | None = None
        self._ranges: dict[str, list[float]] = {}
        self._resume = False
        self._path: Path | None = None
        self._max_bytes = 0
        self._file: ParamFile | None = None
        self._shape: tuple[int, ...] = ()
        self._warned: set[str] = set()

    def start(self, trainer: Trainer, name: str) -> None:
        """Decide where the file lies; it is opened when the size of the pictures is known."""
        self._close()
        folder = Path(getattr(trainer.checkpoint_callback, "dirpath", None) or trainer.default_root_dir)
        self._path = folder / f"{name}-rank{trainer.global_rank}.params"
        self._max_bytes = int(self.max_gigabytes * 1e9) // trainer.world_size
        if not self._resume:
            self._run, self._ranges = trainer.strategy.broadcast(secrets.randbits(62) + 1), {}

    def read(self, turn: Turn) -> tuple[Params, Tensor]:
        """What is known of the batch's samples.

        Returns:
            Parameters {name: (B, ...)}, inside the range as it is now; and whether they are known, (B,) bool.

        Raises:
            ValueError: if the batch has no usable entry ``index_key``.
        """
        file = self._open(turn)
        keys = sample_keys(turn.batch, self.index_key, len(turn.images))
        codes, known = file.read(keys, turn.number)
        if not self._fits(turn):
            known[:] = False
            codes = np.zeros((len(keys), _values(turn.threat, turn.images)), np.uint8)
        params = decode(codes, turn.threat, turn.images)
        params = turn.attack.perturbation.project(params, turn.images)
        return params, torch.from_numpy(known).to(turn.images.device)

    def write(self, turn: Turn, params: Params) -> None:
        """Keep the parameters (B, ...) of the batch's samples."""
        file = self._open(turn)
        if not self._fits(turn):
            self._warn(
                f"Pictures of shape {tuple(turn.images.shape[1:])} are not remembered: the file is for {self._shape}"
            )
            return
        keys = sample_keys(turn.batch, self.index_key, len(turn.images))
        file.write(keys, encode(params, turn.threat), turn.number + 1)
        if file.full:
            self._warn(
                f"The memory of attacks is full at {self.max_gigabytes:g} GB: further samples are attacked from a "
                "random start; raise `max_gigabytes`"
            )

    def stop(self, finished: bool) -> None:
        """Close the file, and remove it after a finished fit."""
        if (file := self._close()) is not None and finished and not self.keep_file:
            file.path.unlink(missing_ok=True)
        self._resume = False

    def _close(self) -> ParamFile | None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
        return file

    def state_dict(self) -> dict[str, Any]:
        """Which file is meant."""
        return {"run": self._run, "ranges": self._ranges}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the file of the run that the state was taken in."""
        self._run, self._ranges, self._resume = state["run"], state["ranges"], state["run"] is not None

    def _open(self, turn: Turn) -> ParamFile:
        if self._file is not None:
            return self._file
        assert self._path is not None
        assert self._run is not None
        ranges = {name: [turn.threat.low[name], turn.threat.high[name]] for name in turn.threat.names}
        same = not self._ranges or ranges == self._ranges
        self._path.parent.mkdir(parents=True, exist_ok=True)
        values = _values(turn.threat, turn.images)
        self._file = ParamFile(self._path, values, self._max_bytes, self._run, self._resume and same)
        self._shape = tuple(turn.images.shape[1:])
        if self._resume and not self._file.resumed:
            self._warn(
                f"Expected the memory of attacks of the run that is resumed at {self._path} but it is "
                f"{'missing' if same else 'of another range'}; every sample starts anew. To resume finished fits, set "
                "`keep_file`"
            )
        self._ranges = ranges
        return self._file

    def _fits(self, turn: Turn) -> bool:
        return tuple(turn.images.shape[1:]) == self._shape

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            rank_zero_warn(message)


def _values(threat: Perturbation, images: Tensor) -> int:
    """Numbers a sample."""
    return sum(int(np.prod(shape)) for shape in threat.shapes(tuple(images.shape[1:])).values())


def sample_keys(batch: Any, index_key: int | str, n: int) -> list[int]:  # noqa: ANN401 - batches have no common type
    """A 64-bit key above 0 for each sample, from the integer or text that the batch carries for it.

    Raises:
        ValueError: if the batch has no such entry, or not one a sample.
        TypeError: if the entries are neither integers nor text.
    """
    name = f"batch[{index_key!r}]"
    remedy = "let the dataset return its index with each sample, or set `index_key`"
    try:
        entries = batch[index_key]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"Expected {name} to tell one sample from another but the batch has none; {remedy}") from error
    values = entries.tolist() if isinstance(entries, (Tensor, np.ndarray)) else entries
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != n:
        got = f"{len(values)} entries" if isinstance(values, Sequence) else type(values).__name__
        raise ValueError(f"Expected {name} with one entry for each of {n} samples but got {got}; {remedy}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, str, np.integer)):
            raise TypeError(f"Expected {name} of integers or texts but got {type(value).__name__}; {remedy}")
    hashed = (hashlib.blake2b(str(value).encode(), digest_size=8).digest() for value in values)
    return [int.from_bytes(digest, "little") or 1 for digest in hashed]
