"""The example: a module that knows nothing of us, trained and tested with both callbacks."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import torch

from examples import digits
from lit_vlr_callbacks.png import load_png


def test_the_module_knows_nothing_of_lit_vlr() -> None:
    for kind in (digits.Digits, digits.DigitClassifier):
        assert "lit_vlr" not in inspect.getsource(kind)
    imported = {
        alias.name for node in ast.parse(inspect.getsource(digits)).body for alias in getattr(node, "names", [])
    } | {node.module for node in ast.parse(inspect.getsource(digits)).body if isinstance(node, ast.ImportFrom)}
    assert not any("lit_vlr" in name for name in imported)


def test_training_under_attack_pays_under_attack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = digits.main(["--epochs=3", f"--folder={tmp_path}"])
    standard, adversarial = found["standard"], found["adversarial"]
    assert standard["test/accuracy"] > 0.85
    assert standard["test/pgd/accuracy"] < standard["test/accuracy"] - 0.1
    assert adversarial["test/rotated/accuracy"] > standard["test/rotated/accuracy"] + 0.1
    for metrics in found.values():  # the attacks survive as files: eps is a whole number of 255ths
        assert metrics["test/pgd+png/accuracy"] == pytest.approx(metrics["test/pgd/accuracy"], abs=0.02)
    assert f"| standard | {100 * standard['test/accuracy']:.1f} |" in capsys.readouterr().out
    clean, attacked = (load_png(tmp_path / f"standard/test/00003_{kind}.png") for kind in ("clean", "pgd"))
    assert clean.shape == (1, 8, 8)
    assert 0 < (attacked - clean).abs().max() <= 26 / 255  # half a 255th more, since these pictures were no files
    assert torch.allclose(clean, digits.Digits(train=False)[3]["image"], atol=0.5 / 255 + 1e-6)
