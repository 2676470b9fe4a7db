"""`lit-vlr study`: run what is missing of a study, then write its table and report."""

from __future__ import annotations

import signal
import sys

from rich.console import Console
from rich.table import Table as Screen

from lit_vlr.errors import UserError
from lit_vlr.report import write_report
from lit_vlr.study.cost import duration, remaining, stages
from lit_vlr.study.overlap import check_apart
from lit_vlr.study.parsing import check_stages_parse
from lit_vlr.study.plan import Plan
from lit_vlr.study.reading import Switches, read_plan
from lit_vlr.study.run import check_plan, left_over, run_study
from lit_vlr.study.stages import StageError, missing
from lit_vlr.study.table import study_table
from lit_vlr.study.words import answer
from lit_vlr.study.write import write_table

TITLE = "Does selective fine-tuning make answers more robust?"


def main(args: list[str]) -> None:
    """Run, or with ``--dry-run`` say what would be run.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: for a plan that cannot be run, a study that was begun with another one, a stage that fails, or a
            calibration split that overlaps a test set.
    """
    run_plan(*read_plan(args))


def run_plan(plan: Plan, switches: Switches) -> None:
    """The same for a plan that was not read from a file.

    Raises:
        UserError: as `main`.
    """
    check_plan(plan, switches.again)
    check_stages_parse(plan, switches.again)
    check_apart(plan)
    if names := left_over(plan):
        print(
            f"lit-vlr: {', '.join(names)} in {plan.root} are of no arm of this study: kept, and left out",
            file=sys.stderr,
        )
    if switches.dry_run:
        print_cost(plan, switches.jobs)
        return
    same = "the same command" if switches.again is None else "the same command without --again"
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end as Ctrl-C makes it, stages included
    try:
        failed = run_study(plan, keep_going=switches.keep_going, again=switches.again, jobs=switches.jobs)
    except KeyboardInterrupt:
        print(f"lit-vlr: interrupted with {_left(plan, switches.jobs)} left; {same} goes on", file=sys.stderr)
        raise
    except StageError as error:
        print(error.tail, file=sys.stderr)
        raise UserError(f"{error}; {same} goes on, --keep-going with the other cells") from error
    finally:
        signal.signal(signal.SIGTERM, before)
    for one in failed:
        print(f"{one.tail}\nlit-vlr: {one}", file=sys.stderr)
    if not all(missing(cell) for cell in plan.cells):
        _conclude(plan)
    if failed:
        raise UserError(f"{len(failed)} stages failed; the first is {failed[0]}; what is reported is without them")


def print_cost(plan: Plan, jobs: int) -> None:
    """What is through, what is left, and how long it will take."""
    found = stages(plan)
    screen = Screen("cell", "stage", "state", "seconds", title=f"{plan.root}: {len(plan.cells)} cells")
    for stage in found:
        state = "finished" if stage.done else "to do"
        how = "" if stage.done else " (measured elsewhere)" if stage.measured else " (stated)"
        screen.add_row(stage.cell.name, stage.verb, state, f"{stage.seconds:.0f}{how}")
    Console(soft_wrap=True).print(screen)
    left = [stage for stage in found if not stage.done]
    stated = sum(not stage.measured for stage in left)
    print(
        f"{len(left)} of {len(found)} stages are left, {_left(plan, jobs)}: {stated} stages as `seconds` of the plan "
        f"states, {len(left) - stated} as measured in this study"
    )


def _left(plan: Plan, jobs: int) -> str:
    return f"about {duration(remaining(stages(plan), jobs))}"


def _conclude(plan: Plan) -> None:
    table = study_table(plan)
    said = answer(table)
    through = {cell.arm: [c.folder for c in plan.cells if c.arm == cell.arm and not missing(c)] for cell in plan.cells}
    order = [plan.baseline, *(arm for arm in plan.arms if arm != plan.baseline)]
    arms = {arm: through[arm] for arm in order if through[arm]}
    report = write_report(arms, plan.root / "report.html", TITLE, answer=said, n_resamples=plan.n_resamples)
    write_table(table, said, plan.root, report.figures)
    print(" ".join(said))
    print(f"table: {plan.root / 'study.md'} (.json, .csv)\nreport: {report.page}")
