"""One stage of a cell: the command line run as a user would, in a process of its own, with a log."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study.identity import write_whole
from lit_vlr.study.labels import write_labels
from lit_vlr.study.plan import Cell
from lit_vlr.study.processes import Processes
from lit_vlr.study.settings import Verb
from lit_vlr.verbs.calibrate import main as calibrate

SECONDS = "seconds.json"
_TAIL = 20  # lines of the log that are shown of a stage that failed
_REDIRECTED = threading.Lock()
"""Redirection is the whole process's: two threads that redirect would leave each other's file behind."""
_PRODUCTS: dict[Verb, tuple[str, ...]] = {
    "fit": ("checkpoints", "adapter", "logs"),
    "validate": ("calibration.jsonl", "calibration.manifest.json", "threshold.json"),
    "test": ("predictions", "gallery", "gallery.part", "test_logs"),
}


class StageError(Exception):
    """A stage that did not end well.

    Attributes:
        cell: whose stage it was.
        verb: the stage.
        status: the exit status of its process, negative for a signal; 2 where the study itself could not do its part.
        log: where everything is that it said.
    """

    def __init__(self, cell: Cell, verb: Verb, status: int, log: Path) -> None:
        super().__init__(f"{verb} of {cell.name} ended with status {status}; its log is {log}")
        self.cell, self.verb, self.status, self.log = cell, verb, status, log

    @property
    def tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])


def finished(cell: Cell) -> dict[str, float]:
    """Wall-clock seconds of each stage that is through, and under ``<verb>_cpu`` those of its processors.

    Raises:
        UserError: if their file is damaged.
    """
    path = cell.folder / SECONDS
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError(f"{found!r}, which is no object")
    except ValueError as error:
        remedy = f"remove it to run every stage of {cell.name} again"
        raise UserError(f"Expected JSON in {path} but got {error}; {remedy}") from error
    return found


def missing(cell: Cell) -> list[Verb]:
    """The stages that are still to be run."""
    done = finished(cell)
    return [verb for verb in cell.verbs if verb not in done]


def forget(cell: Cell, verb: Verb) -> None:
    """Let a stage and those after it be run again."""
    kept = cell.verbs[: cell.verbs.index(verb)]
    if cell.folder.is_dir():
        seconds = {name: taken for name, taken in finished(cell).items() if name.removesuffix("_cpu") in kept}
        write_whole(cell.folder / SECONDS, json.dumps(seconds))


def run_stage(cell: Cell, verb: Verb, processes: Processes) -> dict[str, float]:
    """Run one stage and note that it is through.

    What a killed attempt left of it goes first, so that a resumed study ends where an uninterrupted one does. Before a
    fit that learns from peers come their labels; after the calibration predictions the threshold, which every test uses
    as it stands.

    Args:
        cell: whose stage.
        verb: which stage.
        processes: what starts its process.

    Returns:
        Wall-clock seconds of the stage, and those of its processors, which a busy machine changes less.

    Raises:
        StageError: if its process fails, or with status 2 if the peers of the cell have not labelled what it is trained
            on, or its calibration predictions give no threshold.
    """
    for name in _PRODUCTS[verb]:
        product = cell.folder / name
        shutil.rmtree(product) if product.is_dir() else product.unlink(missing_ok=True)
    started = time.time()
    log = cell.folder / f"{verb}.log"
    log.write_text("", encoding="utf-8")  # what an earlier attempt said is none of this one's
    if verb == "fit" and cell.labels is not None:
        with _logged(cell, verb, log):
            write_labels(cell)
    ended = processes.call([sys.executable, "-m", "lit_vlr.cli", *cell.arguments(verb)], log)
    if ended.status:
        raise StageError(cell, verb, ended.status, log)
    if verb == "validate":
        with _logged(cell, verb, log):
            choose_threshold(cell, log)
    taken = {verb: time.time() - started, f"{verb}_cpu": ended.cpu_seconds}
    write_whole(cell.folder / SECONDS, json.dumps(finished(cell) | taken))
    return taken


@contextlib.contextmanager
def _logged(cell: Cell, verb: Verb, log: Path) -> Iterator[None]:
    """What a process would say of a mistake, and leave with, where the study itself does a part of the stage."""
    try:
        yield
    except (UserError, ConfigError, FileNotFoundError) as error:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"lit-vlr: error: {' '.join(str(error).split())}\n")
        raise StageError(cell, verb, 2, log) from error


def choose_threshold(cell: Cell, log: Path) -> None:
    """Fit the threshold on the calibration predictions; it is frozen from here on."""
    promise = cell.plan.threshold
    given = [f"--predictions={cell.folder / 'calibration.jsonl'}", f"--out={cell.threshold_file}"]
    given += [f"--method={promise.method}", f"--target-risk={promise.max_risk}"]
    given += [f"--delta={promise.delta}"] if promise.method == "ltt" else []
    with (
        _REDIRECTED,
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        calibrate(given)
