"""What is left of a study, and how long it will take: from stages that were measured, or as the plan states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lit_vlr.study.peers import runs_of
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.settings import Verb
from lit_vlr.study.stages import finished


@dataclass(frozen=True)
class Stage:
    """One stage of a cell.

    Attributes:
        cell: whose.
        verb: which.
        seconds: what it took, or is expected to take.
        done: whether it is through.
        measured: whether `seconds` comes from stages that were run; otherwise the plan states it.
    """

    cell: Cell
    verb: Verb
    seconds: float
    done: bool
    measured: bool


def stages(plan: Plan) -> list[Stage]:
    """Every stage, in the order in which they are run.

    A stage that is not through is expected to take what it took in other cells of its arm; else what it took in arms
    that are trained alike (with or without training configs); else what the plan states. Peers are compared with peers;
    before the first of them is fitted, with models that leave nothing out.
    """
    cells = runs_of(plan)
    taken = {(cell.name, verb): seconds for cell in cells for verb, seconds in finished(cell).items()}
    return [_stage(cell, verb, cells, taken) for cell in cells for verb in cell.verbs]


def remaining(found: Sequence[Stage], jobs: int = 1) -> float:
    """Seconds that are left where so many cells are run at a time, if none has to wait for another's end."""
    return sum(stage.seconds for stage in found if not stage.done) / jobs


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(40), duration(754), duration(11000)
    ('40 s', '13 min', '3 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _stage(cell: Cell, verb: Verb, cells: Sequence[Cell], taken: dict[tuple[str, str], float]) -> Stage:
    if (cell.name, verb) in taken:
        return Stage(cell, verb, taken[cell.name, verb], True, True)
    trained = [c for c in cells if bool(c.settings.training) == bool(cell.settings.training)]
    alike = [c for c in trained if type(c) is type(cell)]  # peers or not
    own = [c for c in alike if c.arm == cell.arm]
    for group in (own, alike, trained if verb == "fit" else []):
        known = [taken[c.name, verb] for c in group if (c.name, verb) in taken]
        if known:
            return Stage(cell, verb, sum(known) / len(known), False, True)
    return Stage(cell, verb, cell.stated(verb), False, False)
