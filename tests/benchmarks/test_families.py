"""The table of families in docs/models.md is the committed one, and comes out again."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import families
from tests._tiny import ROOT
from tests.models._checkpoints import MAKERS

RESULTS = ROOT / "benchmarks" / "results"
COMMITTED = json.loads((RESULTS / "families.json").read_text())["rows"]


def test_the_page_quotes_the_committed_table() -> None:
    table = (RESULTS / "families.md").read_text()
    assert families.table(COMMITTED) == table
    assert table in (ROOT / "docs" / "models.md").read_text()
    assert [row["family"] for row in COMMITTED] == list(MAKERS)


def test_the_figures_come_out_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["families", "--families", "Qwen25VL", f"--out={tmp_path}"])
    families.main()
    (again,) = json.loads((tmp_path / "families.json").read_text())["rows"]
    (committed,) = (row for row in COMMITTED if row["family"] == "Qwen25VL")
    for key in ("model_types", "4bit", "lora_language", "lora_vision", "projector"):
        assert again[key] == committed[key]
    for key in ("resized", "loss_clean", "loss_attacked"):
        assert again[key] == pytest.approx(committed[key], rel=0.1)
    assert again["logits"] < 2e-5
