"""`lit-vlr study` before it starts anything: what it costs, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from lit_vlr.cli import main
from lit_vlr.data.scenes import make_scenes
from lit_vlr.errors import UserError
from lit_vlr.study.identity import save_identity
from lit_vlr.study.lock import locked
from lit_vlr.study.overlap import check_samples_apart, picture_key
from lit_vlr.study.reading import read_plan
from lit_vlr.types import Sample
from tests.study._studies import write_plan


def refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    assert main(command) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def test_a_dry_run_says_what_it_costs_and_starts_nothing(tmp_path: Path, capsys) -> None:
    seconds = {"fit": 3600, "validate": 60, "test": 120}
    command = write_plan(tmp_path / "s.yaml", tmp_path / "out", seeds=[0, 1], seconds=seconds)
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "6 of 6 stages are left, about 2 h 6 min: 6 stages as `seconds` of the plan states, 0 as measured" in said
    assert said.count("to do") == 6
    assert not (tmp_path / "out").exists()


def test_a_calibration_split_that_is_tested_on_is_refused_before_anything_runs(tmp_path: Path, capsys) -> None:
    given = ["data:\n  class_path: tests.study._studies.Overlapping\n"]
    (tmp_path / "data.yaml").write_text(given[0])
    arms = {"sft": {"configs": [str(tmp_path / "data.yaml")]}}
    said = refused(capsys, write_plan(tmp_path / "s.yaml", tmp_path / "out", arms=arms))
    assert "Expected calibration and test questions to be apart but scenes/calibration/0 is in both" in said
    assert not (tmp_path / "out").exists()


def test_a_mistyped_key_of_the_last_stage_is_refused_before_anything_runs(tmp_path: Path, capsys) -> None:
    (tmp_path / "bad.yaml").write_text("trainer: {max_stepps: 3}\n")
    (tmp_path / "good.yaml").write_text("trainer: {max_steps: 3}\n")
    arms = {name: {"configs": [str(tmp_path / f"{name}.yaml")]} for name in ("good", "bad")}
    said = refused(capsys, write_plan(tmp_path / "s.yaml", tmp_path / "out", arms=arms, seeds=[0, 1]))
    assert "Expected fit of bad-0 to parse but" in said
    assert "max_stepps" in said
    assert not (tmp_path / "out").exists()

    command = write_plan(tmp_path / "s.yaml", tmp_path / "out", attacks=[str(tmp_path / "bad.yaml")])
    plan = read_plan(command[1:])[0]
    save_identity(plan.cells[0])
    (plan.cells[0].folder / "seconds.json").write_text('{"fit": 1, "validate": 1, "test": 1}')
    assert "Expected test of sft-0 to parse but" in refused(capsys, [*command, "--again=test"])


def test_one_picture_under_two_names_is_one_picture(tmp_path: Path) -> None:
    (calibration,) = make_scenes("calibration", 1)
    assert isinstance(calibration.image, np.ndarray)
    same = Sample("other/1", calibration.image.copy(), "999", "What else?")
    with pytest.raises(UserError, match="scenes/calibration/0 of the calibration split and other/1 of test have one"):
        check_samples_apart([calibration], [same], "test")
    check_samples_apart([calibration], make_scenes("test", 3), "test")  # equal ids, but other pictures

    files = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for path, content in zip(files, (b"one", b"one", b"two"), strict=True):
        path.write_bytes(content)
    assert picture_key(files[0]) == picture_key(files[1]) != picture_key(files[2])
    assert picture_key(tmp_path / "no.png") != picture_key(tmp_path / "none.png")


def test_pictures_of_one_content_and_another_shape_differ() -> None:
    flat = np.zeros((2, 8, 3), np.uint8)
    assert picture_key(flat) != picture_key(flat.reshape(4, 4, 3))


def test_a_study_in_use_is_refused(tmp_path: Path, capsys) -> None:
    command = write_plan(tmp_path / "s.yaml", tmp_path / "out")
    with locked(tmp_path / "out"):
        assert "to be free but process" in refused(capsys, command)
    assert not (tmp_path / "out" / "sft-0").exists()


def test_a_stage_that_outlives_its_study_keeps_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        with pytest.raises(UserError, match="or a stage that it started is still running"), locked(tmp_path):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with locked(tmp_path):
        pass


@pytest.mark.slow
def test_a_stage_that_fails_is_shown_with_its_log_and_others_go_on(tmp_path: Path, capsys) -> None:
    (tmp_path / "bad.yaml").write_text("trainer: {strategy: nonsense}\n")  # parses, for it is a string
    arms = {name: {"configs": [str(tmp_path / "bad.yaml")], "fit": False} for name in ("one", "two")}
    command = write_plan(tmp_path / "s.yaml", tmp_path / "out", arms=arms, threshold={"method": "checkpoint"})
    assert main([*command, "--keep-going"]) == 2
    said = capsys.readouterr()
    assert said.out.count("== ") == 2
    lines = said.err.strip().splitlines()
    assert sum(line.startswith("ValueError") and "nonsense" in line for line in lines) == 2
    assert lines[-1].startswith("lit-vlr: error: 2 stages failed; the first is test of one-0 ended with status 1")
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out.count("== ") == 1
    assert "the same command goes on" in said.err.splitlines()[-1]
    assert "nonsense" in (tmp_path / "out" / "one-0" / "test.log").read_text()
