"""The study of modes: figures by hand, and one short run that is not run twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lit_vlr.types import Prediction
from scripts import modes
from tests._tiny import CONFIGS, ROOT


def said(image: str, accuracy: float) -> Prediction:
    return Prediction("u", image, "q", "a", 0.5, False, accuracy)


def test_figures_by_hand() -> None:
    cells = [
        {"test": [said("1", 1.0), said("2", 1.0)], "test+linf_pgd": [said("1", 1.0), said("2", 0.0)]},
        {"test": [said("1", 1.0), said("2", 0.0)], "test+linf_pgd": [said("1", 0.0), said("2", 0.0)]},
    ]
    row = modes.summarise(cells, [{"fit": 10.0, "fit_cpu": 4.0}, {"fit": 20.0, "fit_cpu": 8.0}])
    assert (row["seeds"], row["n"], row["fit_seconds"], row["fit_cpu_seconds"]) == (2, 2, 15.0, 6.0)
    assert [row[key]["value"] for key in ("clean", "robust", "attack_takes")] == [0.75, 0.25, 0.5]
    text = modes.table({"none": {**row, "fit_cpu_seconds": 2.0}, "free": row})
    assert "| free | 75.0 [" in text
    assert text.splitlines()[3].endswith("| 15 | 6 | 3.0 |")


def test_every_mode_has_a_file_of_its_own() -> None:
    files = list(modes.MODES.values())
    assert len(files) == len(set(files)) == 7
    assert all((CONFIGS / f"{name}.yaml").exists() for name in files)


@pytest.mark.slow
def test_a_finished_cell_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    sizes = {"train_size": 32, "calibration_size": 16, "test_size": 8, "ood_size": 4, "batch_size": 8}
    more = [f"--data.init_args.{k}={v}" for k, v in sizes.items()]
    more += ["--trainer.max_steps=4", "--trainer.val_check_interval=4"]
    command = ["x", f"--root={tmp_path}", f"--out={tmp_path}", "--modes", "free", "warm", "--", *more]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.chdir(ROOT)
    modes.main()
    first = (tmp_path / "attack_modes.json").read_text()
    assert capfd.readouterr().out.count("== ") == 4
    modes.main()
    assert "== " not in capfd.readouterr().out
    assert (tmp_path / "attack_modes.json").read_text() == first
    row = json.loads(first)["modes"]["warm"]
    assert row["n"] == 8
    assert row["config"] == "configs/attack/warm_pgd.yaml"
