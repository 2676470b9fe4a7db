"""Studies of scripts: the main job with something changed, run by `lit_vlr.study` as a user would."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lit_vlr.study.plan import Plan
from lit_vlr.study.run import run_study
from lit_vlr.study.settings import Arm
from lit_vlr.study.stages import StageError, finished

MAIN_JOB = ("base", "model/tiny_llava", "data/scenes", "objective/sft")


def arm_of(configs: Sequence[str], fit: bool = True, seeds: Sequence[int] | None = None) -> Arm:
    """An arm of files under ``configs/``, without suffix, later ones win."""
    files = tuple(f"configs/{name}.yaml" for name in configs)
    return Arm(files, fit=fit, seeds=None if seeds is None else tuple(seeds))


def run_cells(plan: Plan) -> dict[str, dict[str, float]]:
    """Run what is missing; returns seconds of each stage by cell. Ends the script where a stage fails."""
    try:
        run_study(plan)
    except StageError as error:
        sys.exit(f"{error.tail}\n{error}")
    return {cell.name: finished(cell) for cell in plan.cells}
