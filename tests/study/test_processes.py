"""What becomes of the processes of a study that is being ended."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lit_vlr.study.processes import Processes
from tests.study._processes import wait_until

OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
time.sleep(60)
"""


def test_what_ends_well_because_it_was_told_to_is_not_through(tmp_path: Path) -> None:
    processes, log = Processes(), tmp_path / "fit.log"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(processes.call, [sys.executable, "-c", OBEDIENT], log)
        wait_until(lambda: log.exists() and "up" in log.read_text())
        processes.end()
        with pytest.raises(InterruptedError, match="Expected a study that goes on but it is being ended"):
            call.result()


def test_what_ends_by_itself_is_through(tmp_path: Path) -> None:
    processes = Processes()
    assert processes.call([sys.executable, "-c", "pass"], tmp_path / "fit.log").status == 0
    processes.end()
    with pytest.raises(InterruptedError, match="it is being ended"):
        processes.call([sys.executable, "-c", "pass"], tmp_path / "fit.log")
