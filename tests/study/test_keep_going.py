"""What the study itself does before and after a process may fail as the process may."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study import run, stages
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.settings import Arm, Peers, Promise
from lit_vlr.study.stages import StageError, missing, run_stage
from tests.study._processes import Stages


@pytest.mark.parametrize("error", [UserError, ConfigError, FileNotFoundError])
def test_a_threshold_that_cannot_be_chosen_stops_its_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def choose(cell: Cell, _: Path) -> None:
        if cell.arm == "a":
            raise error("nothing to choose from")

    monkeypatch.setattr(run, "Processes", Stages)
    monkeypatch.setattr(stages, "choose_threshold", choose)
    (tmp_path / "x.yaml").write_text("trainer: {max_steps: 400}\n")
    plan = Plan(tmp_path / "out", {name: Arm((str(tmp_path / "x.yaml"),)) for name in "ab"})
    (failed,) = run.run_study(plan, keep_going=True)
    assert (failed.cell, failed.verb, failed.status) == (plan.cells[0], "validate", 2)
    assert failed.tail == "from the process\nlit-vlr: error: nothing to choose from"
    assert [missing(cell) for cell in plan.cells] == [["validate", "test"], []]


def test_labels_that_cannot_be_written_fail_the_fit_that_would_learn_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_: Cell) -> None:
        raise UserError("no peer has answered")

    monkeypatch.setattr(stages, "write_labels", write)
    plan = Plan(tmp_path, {"a": Arm(("x.yaml",), peers=Peers(2, ("x.yaml",)))}, threshold=Promise("checkpoint"))
    plan.cells[0].folder.mkdir()
    with pytest.raises(StageError, match="fit of a-0 ended with status 2; its log is ") as failure:
        run_stage(plan.cells[0], "fit", Stages())
    assert failure.value.tail == "lit-vlr: error: no peer has answered"
    assert Stages.ran == []
