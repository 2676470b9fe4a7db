"""Command lines in processes of their own, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable


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
