"""Attack parameters of every sample in a file, a byte a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation

_FIRST_ROWS = 256
_HEADER = 0  # record 0 is no sample: its key is the run that the file belongs to


class ParamFile:
    """A memory map of uint8 codes, one record a sample, found by a 64-bit key.

    A record holds **two versions**, each with the number of the batch that wrote it. Whoever resumes from a checkpoint
    asks for the newest version that is not younger than the checkpoint, and so reads what the checkpointed run would
    have read, although the run that broke off has written on. That holds as long as a sample has been written at most
    once since the checkpoint, about an epoch; older versions are gone, and the sample counts as new.

    Args:
        path: the file; its folder exists.
        values: numbers a sample.
        max_bytes: the file does not grow beyond this; samples that find no room are not kept.
        run: a number below 2**63 that tells one training run from another.
        resume: go on with the file that is there, if it is of this run.

    Attributes:
        resumed: whether there was one.
        full: whether a sample has found no room.
    """

    _map: Any = None  # the open memory map

    def __init__(self, path: Path, values: int, max_bytes: int, run: int, resume: bool) -> None:
        self.path = path
        self._dtype = np.dtype([("key", "<u8"), ("version", "<i8", (2,)), ("code", "u1", (2, values))])
        self._max_rows = max_bytes // self._dtype.itemsize
        self.full = False
        self.resumed = resume and self._is_of(run)
        if not self.resumed:
            path.unlink(missing_ok=True)
            path.touch()
        self._resize(max(path.stat().st_size // self._dtype.itemsize, min(_FIRST_ROWS, self._max_rows), 1))
        self._map["key"][_HEADER] = run
        self._rows = {key: row for row, key in enumerate(self._map["key"].tolist()) if key and row != _HEADER}

    def _is_of(self, run: int) -> bool:
        if not self.path.is_file() or self.path.stat().st_size % self._dtype.itemsize or not self.path.stat().st_size:
            return False
        return int(np.memmap(self.path, self._dtype, "r")["key"][_HEADER]) == run

    def _resize(self, rows: int) -> None:
        self.close()
        with self.path.open("r+b") as file:
            file.truncate(rows * self._dtype.itemsize)
        self._map = np.memmap(self.path, self._dtype, "r+")

    def read(self, keys: Sequence[int], now: int) -> tuple[np.ndarray, np.ndarray]:
        """The newest codes that batch ``now`` or an earlier one has written.

        Returns:
            Codes (n, values) uint8, 0 where there are none; and whether there are any, (n,) bool.
        """
        codes = np.zeros((len(keys), self._dtype["code"].shape[1]), np.uint8)
        known = np.zeros(len(keys), bool)
        for i, key in enumerate(keys):
            row = self._rows.get(key)
            if row is None:
                continue
            versions = [v if v <= now else 0 for v in self._map["version"][row].tolist()]
            if max(versions) > 0:
                codes[i] = self._map["code"][row, versions.index(max(versions))]
                known[i] = True
        return codes, known

    def write(self, keys: Sequence[int], codes: np.ndarray, now: int) -> None:
        """Keep codes (n, values) as what batch ``now``, at least 1, has written."""
        for key, code in zip(keys, codes, strict=True):
            row = self._rows.get(key) or self._new_row(key)
            if row is None:
                continue
            # The slot to lose: one that a rolled-back run has written, else the older one.
            ages = [v if v < now else -1 for v in self._map["version"][row].tolist()]
            slot = ages.index(min(ages))
            self._map["version"][row, slot] = now
            self._map["code"][row, slot] = code

    def _new_row(self, key: int) -> int | None:
        row = len(self._rows) + 1
        if row >= len(self._map):
            if row >= self._max_rows:
                self.full = True
                return None
            self._resize(min(2 * len(self._map), self._max_rows))
        self._map["key"][row] = key
        self._rows[key] = row
        return row

    def close(self) -> None:
        """Write everything to disk."""
        if self._map is not None:
            self._map.flush()
        self._map = None


def encode(params: Params, threat: Perturbation) -> np.ndarray:
    """Parameters {name: (B, ...)} as codes (B, values) uint8: 255 equal steps from low to high.

    The error is at most half a step, (high - low) / 255 / 2: for `Linf` ε/255, a 255th of the radius.
    """
    parts = []
    for name in threat.names:
        values = params[name].detach().double()
        values = values.reshape(len(values), -1)
        low, span = threat.low[name], threat.high[name] - threat.low[name]
        parts.append(((values - low) / span * 255).round().clamp(0, 255) if span > 0 else torch.zeros_like(values))
    codes: np.ndarray = torch.cat(parts, 1).to(torch.uint8).cpu().numpy()
    return codes


def decode(codes: np.ndarray, threat: Perturbation, like: Tensor) -> Params:
    """Codes (B, values) as parameters {name: (B, ...)} on the device and of the type of the pictures ``like``."""
    values = torch.from_numpy(codes).double()
    params: Params = {}
    start = 0
    for name, shape in threat.shapes(tuple(like.shape[1:])).items():
        size = int(np.prod(shape))
        part = threat.low[name] + values[:, start : start + size] / 255 * (threat.high[name] - threat.low[name])
        params[name] = part.reshape(-1, *shape).to(like)
        start += size
    return params
