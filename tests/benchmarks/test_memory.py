"""The benchmark of memory on small shapes, shortly; the shapes of the GPU part are counted."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from benchmarks import _memory_shapes, memory
from benchmarks._memory_worker import main as work

BILLIONS = {"LLaVA-1.5-7B": 7.063, "Qwen2-VL-7B": 8.291}  # of the published models


@pytest.mark.slow
def test_both_variants_do_the_same_work_and_the_package_needs_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = copy.deepcopy(_memory_shapes.SHAPES["LLaVA, 135M"])
    shape["vision"]["num_hidden_layers"] = shape["text"]["num_hidden_layers"] = 2
    monkeypatch.setitem(memory.SHAPES, "LLaVA, 135M", shape)
    monkeypatch.setattr(memory, "RECOMPUTE", (False,))
    given = ["x", "--shapes", "LLaVA, 135M", "--rows=2", "--steps=1", "--rounds=1", f"--out={tmp_path}"]
    monkeypatch.setattr(sys, "argv", given)
    memory.main()
    result = json.loads((tmp_path / "memory.json").read_text())
    assert result["device"] == "cpu"
    plain, ours = result["results"]
    assert (plain["variant"], ours["variant"]) == ("plain", "lit_vlr")
    assert ours["trained"] == plain["trained"] > 0
    assert ours["first_loss"] == pytest.approx(plain["first_loss"], rel=0.02)
    assert plain["peak_mib_of_plain"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert ours["peak_mib"] < 0.7 * plain["peak_mib"]  # float32 embeddings and head, logits of every position
    assert (tmp_path / "memory.md").read_text() == memory.table(result["results"], "cpu_seconds_per_step")


def test_the_package_learns_in_the_worker(tmp_path: Path) -> None:
    # The very code that runs on a GPU, on the device there is.
    shape = copy.deepcopy(_memory_shapes.SHAPES["Qwen2-VL, 187M"])
    shape["vocabulary"], shape["vision"]["depth"], shape["text"]["num_hidden_layers"] = 400, 1, 1
    folder = _memory_shapes.save_random(shape, tmp_path, torch.device("cpu"))
    common = {"folder": str(folder), "family": "Qwen2VL", "recompute": True, "rows": 2, "side": 56, "steps": 3}
    threads = torch.get_num_threads()
    found = {
        variant: work({**common, "variant": variant, "threads": threads, "device": "cpu"})
        for variant in memory.VARIANTS
    }
    assert found["plain"]["first_loss"] == pytest.approx(found["lit_vlr"]["first_loss"], rel=0.02)
    assert all(figures["last_loss"] < figures["first_loss"] for figures in found.values())


@pytest.mark.parametrize("name", _memory_shapes.ON_GPU)
def test_shapes_of_the_gpu_part_are_those_of_the_published_models(name: str) -> None:
    config, _, _ = _memory_shapes.parts_of(_memory_shapes.SHAPES[name])
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(BILLIONS[name], abs=0.001)


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    monkeypatch.setattr(sys, "argv", ["x", "--devices", "cuda"])
    with pytest.raises(SystemExit):
        memory.main()
    assert "Expected a CUDA device for cuda but this machine has none" in capsys.readouterr().err
