"""A study goes on only with what it was begun with."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lit_vlr.errors import UserError
from lit_vlr.study import identity
from lit_vlr.study.lock import locked
from lit_vlr.study.plan import Plan
from lit_vlr.study.run import check_plan, left_over
from lit_vlr.study.settings import Arm, Promise
from lit_vlr.study.stages import finished, forget, missing


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "a.yaml").write_text("# a comment\ntrainer: {max_steps: 400}\ndata: {sizes: [1, 2]}\n")
    (tmp_path / "eval.yaml").write_text("trainer: {callbacks+: []}\n")
    files = tuple(str(tmp_path / name) for name in ("a.yaml", "eval.yaml"))
    plan = Plan(tmp_path / "out", {"sft": Arm(files[:1]), "other": Arm(files[:1])}, attacks=files[1:])
    for cell in plan.cells:
        identity.save_identity(cell)
    return plan


def test_the_same_study_goes_on(plan: Plan) -> None:
    check_plan(plan)


def test_comments_and_layout_are_no_contents(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data:\n  sizes:\n  - 1\n  - 2\ntrainer:\n  max_steps: 400  # as before\n")
    check_plan(plan)


def test_a_changed_file_is_named_with_its_keys(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("trainer: {max_steps: 300}\ndata: {sizes: [1, 3]}\n")
    with pytest.raises(UserError, match="Expected sft-0 as it was begun but its configuration differs: ") as refusal:
        check_plan(plan)
    assert f"{tmp_path / 'a.yaml'}: trainer.max_steps was 400 and is 300" in str(refusal.value)
    assert f"{tmp_path / 'a.yaml'}: data.sizes.1 was 2 and is 3" in str(refusal.value)


def test_null_is_not_absent(plan: Plan, tmp_path: Path) -> None:
    """Null in a later file takes back what an earlier one says."""
    (tmp_path / "a.yaml").write_text("trainer: {max_steps: null}\ndata: {sizes: [1, 2]}\n")
    plan = replace(plan, root=tmp_path / "other")
    for cell in plan.cells:
        identity.save_identity(cell)
    (tmp_path / "a.yaml").write_text("trainer: {max_epochs: null}\ndata: {sizes: [1, 2]}\n")
    with pytest.raises(UserError, match=r"trainer\.max_steps was null and is absent") as refusal:
        check_plan(plan)
    assert "trainer.max_epochs was absent and is null" in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"overrides": ("--x=1",)}, r"overrides.0 was absent and is \"--x=1\""),
        ({"threshold": Promise(max_risk=0.2)}, "threshold.max_risk was 0.1 and is 0.2"),
        ({"checkpoint": "best"}, 'checkpoint was "last" and is "best"'),
        ({"attacks": ()}, "eval.yaml is no longer given"),
    ],
)
def test_changed_settings_are_named(plan: Plan, changes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_plan(replace(plan, **changes))


def test_another_order_of_files_is_another_study(plan: Plan, tmp_path: Path) -> None:
    both = tuple(str(tmp_path / name) for name in ("eval.yaml", "a.yaml"))
    with pytest.raises(UserError, match=r"files\.(fit|test)\.\d was"):
        check_plan(replace(plan, arms={"sft": Arm(both)}))


def test_another_version_is_another_study(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "__version__", "99")
    with pytest.raises(UserError, match=r'lit_vlr was ".*" and is "99"'):
        check_plan(plan)


def test_a_stage_that_is_run_again_may_have_other_files(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("trainer: {callbacks+: []}\n")
    attacked = replace(plan, attacks=(*plan.attacks, str(tmp_path / "more.yaml")))
    with pytest.raises(UserError, match=r"more.yaml is newly given"):
        check_plan(attacked)
    check_plan(attacked, "test")
    other = replace(attacked, threshold=Promise(max_risk=0.2))
    with pytest.raises(UserError, match=r"threshold.max_risk was 0.1 and is 0.2"):
        check_plan(other, "test")
    check_plan(other, "validate")
    (tmp_path / "a.yaml").write_text("trainer: {max_steps: 300}\ndata: {sizes: [1, 2]}\n")
    with pytest.raises(UserError, match=r"trainer.max_steps was 400 and is 300"):  # the fit depends on it
        check_plan(other, "validate")


def test_a_stage_is_forgotten_with_those_after_it(plan: Plan) -> None:
    cell = plan.cells[0]
    (cell.folder / "seconds.json").write_text('{"fit": 1, "fit_cpu": 2, "validate": 3, "test": 4, "test_cpu": 5}')
    forget(cell, "test")
    assert finished(cell) == {"fit": 1, "fit_cpu": 2, "validate": 3}
    assert missing(cell) == ["test"]
    forget(cell, "validate")
    assert missing(cell) == ["validate", "test"]
    changed = replace(plan, threshold=Promise(max_risk=0.2))
    identity.save_identity(changed.cells[0], anew=True)
    check_plan(replace(changed, arms={"sft": plan.arms["sft"]}))


def test_arms_come_and_go(plan: Plan) -> None:
    changed = replace(plan, arms={"sft": plan.arms["sft"], "new": plan.arms["sft"]}, seeds=(0, 1))
    check_plan(changed)
    assert left_over(changed) == ["other-0"]


def test_settings_of_the_table_are_free(plan: Plan) -> None:
    check_plan(replace(plan, costs=(5,), n_resamples=10))


def test_a_missing_or_malformed_file_is_named(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"Expected YAML in .*a.yaml but got"):
        check_plan(plan)
    (tmp_path / "a.yaml").write_text("- a\n")
    with pytest.raises(UserError, match=r"Expected a mapping in .*a.yaml but got list"):
        check_plan(plan)
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(UserError, match=r"Expected a config file at .*a.yaml but there is none"):
        check_plan(plan)


def test_files_of_new_cells_are_looked_at_before_anything_runs(plan: Plan) -> None:
    with pytest.raises(UserError, match=r"Expected a config file at nowhere.yaml"):
        check_plan(replace(plan, arms={"new": Arm(("nowhere.yaml",))}))


def test_a_folder_of_somebody_else_is_left_alone(plan: Plan) -> None:
    (plan.root / "mine-0").mkdir()
    (plan.root / "mine-0" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"Expected .*mine-0 to be this study's but it has no cell.json"):
        check_plan(replace(plan, arms={"mine": plan.arms["sft"]}))


def test_a_kill_while_the_record_is_written_is_no_obstacle(plan: Plan) -> None:
    cell = plan.cells[0]
    (cell.folder / "cell.json").rename(cell.folder / "cell.json.part")
    check_plan(plan)
    (cell.folder / "cell.json.part").write_text('{"sha')
    check_plan(plan)
    identity.save_identity(cell)
    assert [path.name for path in cell.folder.iterdir()] == ["cell.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fit": '])
def test_a_damaged_record_of_what_is_through_is_named(plan: Plan, text: str) -> None:
    path = plan.cells[0].folder / "seconds.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"Expected .* in {path} but got .*; remove it to run every stage of sft-0 ag"):
        missing(plan.cells[0])


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / "a.json").exists()))
    identity.write_whole(tmp_path / "a.json", "{}")
    assert synced == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_the_record_can_be_checked_by_hand(plan: Plan) -> None:
    record = json.loads((plan.root / "sft-0" / "cell.json").read_text())
    assert record == identity.identity(plan.cells[0])
    assert len(record["sha256"]) == 64
    assert record["sha256"] != identity.identity(replace(plan, seeds=(1,)).cells[0])["sha256"]


def test_one_process_a_study(tmp_path: Path) -> None:
    with locked(tmp_path / "out"):
        with pytest.raises(UserError, match=f"to be free but process {os.getpid()} runs a study there"):
            with locked(tmp_path / "out"):
                pass
    with locked(tmp_path / "out"):
        pass


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    (tmp_path / "study.lock").write_text("1234567\n")
    with locked(tmp_path):
        assert (tmp_path / "study.lock").read_text() == f"{os.getpid()}\n"
