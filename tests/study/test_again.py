"""Stages that are to be run again, and what becomes of that wish when the study is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_vlr.errors import UserError
from lit_vlr.study import run
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.reading import Switches
from lit_vlr.study.run import check_plan, run_study
from lit_vlr.study.settings import Arm, Promise, Verb
from lit_vlr.study.stages import forget, missing
from lit_vlr.verbs import study as verb
from tests.study._processes import Stages


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Three arms, through already."""
    monkeypatch.setattr(run, "Processes", Stages)
    monkeypatch.setattr(Stages, "fails", 0)
    (tmp_path / "a.yaml").write_text("trainer: {max_steps: 400}\n")
    arms = {name: Arm((str(tmp_path / "a.yaml"),)) for name in "abc"}
    plan = Plan(tmp_path / "out", arms, threshold=Promise("checkpoint"))
    run_study(plan)
    assert len(Stages.ran) == 6
    return plan


def test_an_interrupted_repetition_goes_on_without_again_as_is_said(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("check_stages_parse", "check_apart"):
        monkeypatch.setattr(verb, name, lambda *_: None)
    monkeypatch.setattr(Stages, "fails", 2)
    with pytest.raises(UserError, match="; the same command without --again goes on, --keep-going with the other"):
        verb.run_plan(plan, Switches(False, False, "test", 1))
    assert Stages.ran == ["a-0: test", "b-0: test"]
    with pytest.raises(UserError, match="; the same command goes on, --keep-going with the other"):
        verb.run_plan(plan, Switches(False, False, None, 1))
    assert Stages.ran == ["b-0: test", "c-0: test"]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "run_study", interrupted)
    for again, said in (("test", "the same command without --again goes on"), (None, "the same command goes on")):
        with pytest.raises(KeyboardInterrupt):
            verb.run_plan(plan, Switches(False, False, again, 1))
        assert capsys.readouterr().err.strip().endswith(said)


def test_a_kill_while_stages_are_forgotten_leaves_none_that_is_taken_for_run_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are the same before and after, so nothing else would tell."""

    def killed(cell: Cell, again: Verb) -> None:
        if cell.arm == "b":
            raise SystemExit
        forget(cell, again)

    monkeypatch.setattr(run, "forget", killed)
    with pytest.raises(SystemExit):
        run_study(plan, again="test")
    assert [missing(cell) for cell in plan.cells] == [["test"], [], []]
    monkeypatch.setattr(run, "forget", forget)
    said = r"Expected --again=test once more but it is missing; the study in .*out ended while it was forgetting"
    with pytest.raises(UserError, match=said):
        run_study(plan)
    run_study(plan, again="test")
    assert Stages.ran == ["a-0: test", "b-0: test", "c-0: test"]
    check_plan(plan)
    run_study(plan)
    assert Stages.ran == []


def test_another_stage_will_not_do_for_the_one_that_was_being_forgotten(plan: Plan) -> None:
    (plan.root / "study.again").write_text("validate\n")
    with pytest.raises(UserError, match="Expected --again=validate once more but got --again=test"):
        check_plan(plan, "test")
    check_plan(plan, "validate")
