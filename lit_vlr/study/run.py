"""Running what is missing of a study: a cell after another, or several at a time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lit_vlr.errors import UserError
from lit_vlr.study.attacks import check_attack_names
from lit_vlr.study.cost import duration, remaining, stages
from lit_vlr.study.identity import check_identity, save_identity, write_whole
from lit_vlr.study.lock import locked
from lit_vlr.study.peers import peers_of
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.processes import Processes
from lit_vlr.study.settings import Verb
from lit_vlr.study.stages import StageError, forget, missing, run_stage

_FORGETTING = "study.again"


def check_plan(plan: Plan, again: Verb | None = None) -> None:
    """Refuse a plan whose files are missing or do not go together, or whose cells were begun as others.

    Args:
        plan: the study.
        again: a stage that is to be run again, so that what it depends on may differ.

    Raises:
        UserError: naming what differs; or where a study was killed while it forgot another stage than ``again``.
    """
    _check_forgotten(plan, again)
    for cell in plan.cells:
        check_identity(cell, again if again in cell.verbs else None)
        for peer in peers_of(cell):
            check_identity(peer)
        check_attack_names(cell)


def left_over(plan: Plan) -> list[str]:
    """Names of cells in the study's folder that the plan no longer has: they are kept, and not shown."""
    known = {cell.name for cell in plan.cells}
    found = sorted(path.parent.name for path in plan.root.glob("*/cell.json"))
    return [name for name in found if name not in known]


def run_study(plan: Plan, *, keep_going: bool = False, again: Verb | None = None, jobs: int = 1) -> list[StageError]:
    """Run every stage that is not through.

    A study that is killed at any point goes on with the same call, but for ``again``, which would forget once more:
    what is through is not run again, and the stage that was running starts anew.

    Args:
        plan: the study.
        keep_going: after a stage that fails, go on with the other cells.
        again: forget this stage of every cell and those after it, and run them with files as they are now.
        jobs: cells that are run at a time; above 1 each has its share of the cores.

    Returns:
        The stages that failed; none without ``keep_going``.

    Raises:
        UserError: if another process runs the study, or a cell was begun with another configuration.
        StageError: if a stage fails, without ``keep_going``.
    """
    check_plan(plan, again)
    with locked(plan.root) as lock:
        if again is not None:
            _forget(plan, again)
        for cell in plan.cells:
            save_identity(cell)
            for peer in peers_of(cell):
                save_identity(peer)
        # Small models get more of two cores as two processes than as one with two threads.
        threads = None if jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)
        with _progress(plan, jobs) as say:
            return _run_cells(plan, Processes((lock,), threads), say, keep_going, jobs)


def _forget(plan: Plan, again: Verb) -> None:
    """Forget a stage of every cell, and note it until none is left.

    Afterwards nothing else would tell the cells that a kill has left as they were from those that were run again.
    """
    note = plan.root / _FORGETTING
    write_whole(note, f"{again}\n")
    for cell in plan.cells:
        if again in cell.verbs:
            forget(cell, again)
            save_identity(cell, anew=True)
    note.unlink()


def _check_forgotten(plan: Plan, again: Verb | None) -> None:
    note = plan.root / _FORGETTING
    unfinished = note.read_text(encoding="utf-8").strip() if note.is_file() else None
    if unfinished not in (None, again):
        got = "it is missing" if again is None else f"got --again={again}"
        raise UserError(
            f"Expected --again={unfinished} once more but {got}; the study in {plan.root} ended while it was "
            "forgetting that stage"
        )


def _run_cells(plan: Plan, processes: Processes, say: _Progress, keep_going: bool, jobs: int) -> list[StageError]:
    broken = threading.Event()

    def run(cell: Cell) -> None:
        if broken.is_set():
            return
        try:
            _run_cell(cell, processes, say)
        except BaseException:
            if not keep_going:
                broken.set()  # here: this thread takes the next cell before anybody else learns of it
            raise

    with ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(run, cell) for cell in plan.cells]
        try:
            ended = wait(runs, return_when="ALL_COMPLETED" if keep_going else FIRST_EXCEPTION).done
            # In the order of the cells: of two that failed the first is named.
            errors = [error for one in runs if one in ended and (error := one.exception()) is not None]
            failed = [error for error in errors if isinstance(error, StageError)]
            if errors and not (keep_going and len(failed) == len(errors)):
                raise errors[0]
            return failed
        finally:
            # Also where somebody has interrupted: the pool waits for its threads, and they for their processes.
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end()


def _run_cell(cell: Cell, processes: Processes, say: _Progress) -> None:
    for run in (*peers_of(cell), cell):
        for verb in missing(run):
            check_identity(run)  # files may have been edited while earlier stages ran, for hours
            say.begin(run, verb)
            run_stage(run, verb, processes)
            say.end()


class _Progress:
    """A line a stage, and a bar with the time that is left where somebody watches."""

    def __init__(self, plan: Plan, bar: Progress, jobs: int) -> None:
        self.plan, self.bar, self.jobs = plan, bar, jobs
        self.task = bar.add_task("", total=len(stages(plan)), left="")

    def begin(self, cell: Cell, verb: Verb) -> None:
        """Say which stage, and what is left."""
        found = stages(self.plan)
        done = sum(stage.done for stage in found)
        left = f"about {duration(remaining(found, self.jobs))} left"
        self.bar.console.print(f"== {cell.name}: {verb} ({done + 1} of {len(found)}, {left})", highlight=False)
        self.bar.update(self.task, completed=done, description=f"{cell.name}: {verb}", left=left)

    def end(self) -> None:
        """One more."""
        self.bar.update(self.task, advance=1, left=f"about {duration(remaining(stages(self.plan), self.jobs))} left")


@contextmanager
def _progress(plan: Plan, jobs: int) -> Iterator[_Progress]:
    console = Console(file=sys.stdout, soft_wrap=True)  # itself, also while a stage redirects
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    more = (TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, *more, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Progress(plan, bar, jobs)
