"""One process a study: a lock that the system gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_vlr.errors import UserError

FILE = "study.lock"


@contextmanager
def locked(root: Path) -> Iterator[int]:
    """Hold the study's folder; yields a descriptor to hand to stages.

    The lock is the kernel's, of the open file: it goes when its last holder does, so none is ever stale. A stage that
    inherits the descriptor holds it too. That is meant: where the study is killed alone, its orphaned stage still
    writes, and another study must wait for its end.

    Args:
        root: the study's folder, made where there is none.

    Raises:
        UserError: if another process holds it, with its number.
    """
    root.mkdir(parents=True, exist_ok=True)
    path = root / FILE
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"Expected {root} to be free but process {holder} runs a study there, or a stage that it started is "
                "still running; wait for it, or choose another `root`"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
