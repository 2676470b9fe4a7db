"""The processes that stages are: each with a log, none of which outlives the study."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 30
"""Seconds between asking a process to end and ending it."""
_BEING_ENDED = "Expected a study that goes on but it is being ended"


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        status: its exit status; negative for a signal.
        cpu_seconds: of it and of the processes that it waited for.
    """

    status: int
    cpu_seconds: float


class Processes:
    """Starts processes, several at a time from as many threads, and ends all that still run.

    Args:
        descriptors: that each shall hold open.
        threads: that each may compute with; None leaves that to it.
    """

    def __init__(self, descriptors: Sequence[int] = (), threads: int | None = None) -> None:
        self.descriptors = tuple(descriptors)
        # Buffered, the last words of a process that is killed would be lost.
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if threads is not None:
            # Processes with a thread for each core would wait for each other at every barrier.
            self.environment.setdefault("OMP_NUM_THREADS", str(threads))
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False
        self._lock = threading.Lock()

    def call(self, command: Sequence[str], log: Path) -> Ended:
        """Run a command to its end, which comes with ours at the latest, but for a SIGKILL.

        Raises:
            InterruptedError: if it was not started, or told to end: whatever its status, it may not be through.
        """
        with log.open("w", encoding="utf-8") as file:
            with self._lock:
                if self._closed:
                    raise InterruptedError(_BEING_ENDED)
                process = subprocess.Popen(
                    command,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=self.environment,
                    pass_fds=self.descriptors,
                )
                self._running.add(process)
            try:
                # Not `Popen.wait`: only the system call itself says what this one child has used.
                _, status, used = os.wait4(process.pid, 0)
            except ChildProcessError as error:  # `end` was first to learn of its end
                raise InterruptedError(_BEING_ENDED) from error
            except BaseException:
                self.end()
                raise
            process.returncode = os.waitstatus_to_exitcode(status)
            with self._lock:
                self._running.discard(process)
                if self._closed:
                    raise InterruptedError(_BEING_ENDED)
        return Ended(process.returncode, used.ru_utime + used.ru_stime)

    def end(self) -> None:
        """End what runs, and start nothing more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            # Another thread may be waiting for it and be first to learn of its end.
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in running:
            _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
