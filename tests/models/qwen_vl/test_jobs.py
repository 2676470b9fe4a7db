"""Whole jobs on an original folder: the command line, and what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from lit_vlr.cli import main
from tests._qwen_vl import make_checkpoint
from tests._tiny import CONFIGS, ROOT


def test_the_main_job_runs_on_an_original_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_checkpoint(tmp_path / "original")
    names = ("base", "model/qwen_vl", "data/scenes", "objective/sft", "attack/linf_pgd")
    files = [part for name in names for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
    family, data, run = "--model.family.init_args", "--data.init_args", tmp_path / "run"
    small = [
        *(f"{family}.name_or_path={tmp_path / 'original'}", f"{family}.image_size=64"),
        *(f"{data}.train_size=4", f"{data}.calibration_size=4", f"{data}.batch_size=4"),
        *("--trainer.max_steps=1", "--trainer.val_check_interval=1", "--trainer.enable_progress_bar=false"),
    ]
    assert main(["fit", *files, *small, f"--trainer.default_root_dir={run}"]) == 0
    Image.fromarray(np.full((30, 50, 3), 99, dtype=np.uint8)).save(tmp_path / "grey.png")
    asked = ["--image", str(tmp_path / "grey.png"), "--question", "What is it?"]
    assert main(["ask", "--checkpoint", str(run / "checkpoints" / "best.ckpt"), *asked]) == 0
    assert "confidence" in capsys.readouterr().out
    adapter = load_file(run / "adapter" / "adapter_model.safetensors")
    assert sum("lora_A" in name for name in adapter) == 2 * 6  # two layers: q, k, v, o, gate, up


def test_the_documentations_example_runs(tmp_path: Path) -> None:
    weights = make_checkpoint(tmp_path / "original")
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "qwen_vl.md").read_text(), re.S)
    picture = np.zeros((40, 40, 3), dtype=np.uint8)
    exec(block, {"folder": tmp_path / "original", "other": tmp_path / "other", "picture": picture})
    assert set(load_file(tmp_path / "other" / "model.safetensors")) == set(weights)
