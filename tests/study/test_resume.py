"""A study that is killed goes on: finished stages are not repeated, and it ends where an uninterrupted one does."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from lit_vlr.cli import main
from lit_vlr.predictions import read_manifest
from lit_vlr.study.lock import locked
from lit_vlr.threshold_file import read_threshold
from tests.study._processes import start, wait_for
from tests.study._studies import COMMON, SHORT, write_plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(write_plan(folder / "s.yaml", folder / "out")) == 0
    return folder / "out"


def test_thresholds_come_from_calibration_and_are_frozen(whole: Path) -> None:
    frozen = read_threshold(whole / "sft-0" / "threshold.json")
    assert frozen.method == "empirical"
    for name in ("test", "test+linf_pgd"):
        manifest = read_manifest(whole / "sft-0" / "predictions" / f"{name}.jsonl")
        assert manifest["threshold"] == frozen.threshold
        assert manifest["threshold_file"]["sha256"] == frozen.sha256
    rows = json.loads((whole / "study.json").read_text())["rows"]
    assert [(row["arm"], row["set"], row["n"]) for row in rows] == [("sft", "test", 6), ("sft", "test+linf_pgd", 6)]


def test_the_report_is_of_arms(whole: Path) -> None:
    page = (whole / "report.html").read_text()
    assert 'data-arm="sft"' in page
    assert "sft-0" not in [line.strip() for line in page.splitlines()]


def test_a_fit_that_is_told_to_end_is_not_through(tmp_path: Path) -> None:
    """Lightning then raises a SystemExit without a code, which is status 0."""
    files = [part for file in COMMON for part in ("--config", file)]
    endless = ("--trainer.max_steps=100000", "--trainer.max_epochs=-1")
    process = start(["fit", *files, *SHORT, *endless, f"--trainer.default_root_dir={tmp_path}"])
    wait_for(lambda: (tmp_path / "checkpoints" / "last.ckpt").exists(), process)
    process.terminate()
    assert process.wait(timeout=120) == 128 + signal.SIGTERM


def test_another_configuration_is_refused_with_what_differs(whole: Path, tmp_path: Path, capsys) -> None:
    changed = write_plan(tmp_path / "s.yaml", whole, threshold={"method": "empirical", "max_risk": 0.5})
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    assert main(changed) == 2
    assert "sft-0 as it was begun but its configuration differs: threshold.max_risk was 0.9 and is 0.5" in (
        capsys.readouterr().err
    )
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_cells_side_by_side_end_together_and_go_on(tmp_path: Path, capsys) -> None:
    root = tmp_path / "out"
    command = [*write_plan(tmp_path / "s.yaml", root, seeds=[0, 1, 2]), "--jobs", "2"]
    process = start(command)
    wait_for(lambda: all((root / f"sft-{seed}" / "fit.log").exists() for seed in (0, 1)), process)
    assert not (root / "sft-2" / "fit.log").exists()  # two at a time
    process.terminate()
    assert process.wait(timeout=120) == 130
    with locked(root):  # which both stages held open: neither outlived the study
        pass
    assert main(command) == 0
    rows = json.loads((root / "study.json").read_text())["rows"]
    assert {tuple(row["seeds"]) for row in rows} == {(0, 1, 2)}
    assert main([*command, "--dry-run"]) == 0
    assert "0 of 9 stages are left" in capsys.readouterr().out


def test_of_cells_side_by_side_one_that_fails_is_named_and_the_others_can_be_kept(tmp_path: Path, capsys) -> None:
    (tmp_path / "bad.yaml").write_text("trainer: {callbacks+: [{class_path: tests.study._studies.Breaks}]}\n")
    arms = {"bad": {"training": [str(tmp_path / "bad.yaml")]}, "sft": {}}
    command = [*write_plan(tmp_path / "s.yaml", tmp_path / "out", arms=arms), "--jobs", "2"]
    assert main([*command, "--keep-going"]) == 2
    assert "1 stages failed; the first is fit of bad-0 ended with status" in capsys.readouterr().err
    assert (tmp_path / "out" / "sft-0" / "predictions" / "test.jsonl").exists()
    assert main(command) == 2
    assert "fit of bad-0 ended with status" in capsys.readouterr().err


def test_a_killed_study_ends_where_an_uninterrupted_one_does(whole: Path, tmp_path: Path, capsys) -> None:
    root = tmp_path / "out"
    cell = root / "sft-0"
    command = write_plan(tmp_path / "s.yaml", root)

    process = start(command)  # ended as a batch system does, in the middle of the fit: the stage ends too
    wait_for(lambda: (cell / "fit.log").exists(), process)
    process.terminate()
    assert process.wait(timeout=120) == 130
    with locked(root):
        assert not (cell / "seconds.json").exists()

    process = start(command)  # killed at some point after it, with everything that it started
    wait_for(lambda: (cell / "seconds.json").exists(), process)
    time.sleep(random.uniform(0, 6))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    fitted = {path: path.stat().st_mtime_ns for path in (cell / "checkpoints").iterdir()}
    before = json.loads((cell / "seconds.json").read_text())

    capsys.readouterr()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "sft-0: fit" not in said
    assert {path: path.stat().st_mtime_ns for path in (cell / "checkpoints").iterdir()} == fitted
    after = json.loads((cell / "seconds.json").read_text())
    assert {key: after[key] for key in before} == before

    assert (root / "study.json").read_bytes() == (whole / "study.json").read_bytes()
    for name in ("calibration.jsonl", "predictions/test.jsonl", "predictions/test+linf_pgd.jsonl"):
        assert (cell / name).read_bytes() == (whole / "sft-0" / name).read_bytes()

    made = (root / "study.json").stat().st_mtime_ns
    assert main(command) == 0  # everything is through: the table alone is made anew
    assert "== " not in capsys.readouterr().out
    assert (root / "study.json").stat().st_mtime_ns > made
