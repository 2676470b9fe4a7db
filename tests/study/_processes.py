"""Command lines in processes of their own, to be killed; and what stands in for the processes of a study."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lit_vlr.study.processes import Ended


def start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    full = [sys.executable, "-m", "lit_vlr.cli", *command]
    return subprocess.Popen(full, env=environment, start_new_session=True, **quiet)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    wait_until(what, lambda: process.poll() is None)


def wait_until(what: Callable[[], bool], going_on: Callable[[], bool] = lambda: True) -> None:
    deadline = time.time() + 300
    while not what() and time.time() < deadline and going_on():
        time.sleep(0.05)
    assert what(), "it never came to that"


class Stages:
    """Stands in for the processes of a study: all end well but one, whose number is `fails`."""

    fails = 0
    ran: list[str] = []  # noqa: RUF012 - of the class: a study makes its own instance

    def __init__(self, *_: object) -> None:
        Stages.ran = []

    def call(self, _: list[str], log: Path) -> Ended:
        Stages.ran.append(f"{log.parent.name}: {log.stem}")
        log.write_text("from the process\n")
        return Ended(int(len(Stages.ran) == Stages.fails), 0.0)

    def end(self) -> None: ...
