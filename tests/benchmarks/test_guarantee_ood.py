"""The figures of docs/guarantees.md are the committed ones, and come out again."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks import guarantee_ood
from tests._tiny import ROOT

RESULTS = ROOT / "benchmarks" / "results"
COMMITTED = json.loads((RESULTS / "guarantee_ood.json").read_text())
ROWS = {(row["method"], row["population"]): row for row in COMMITTED["rows"]}


def test_the_note_quotes_the_committed_table() -> None:
    table = (RESULTS / "guarantee_ood.md").read_text()
    assert guarantee_ood.table(COMMITTED["rows"]) == table
    assert table in (ROOT / "docs" / "guarantees.md").read_text()


def test_the_figures_come_out_again(tmp_path, monkeypatch) -> None:
    """On the first 250 splits: shares and means within their sampling error."""
    monkeypatch.setattr(sys, "argv", ["guarantee_ood", "--resamples=250", f"--out={tmp_path}"])
    guarantee_ood.main()
    again = json.loads((tmp_path / "guarantee_ood.json").read_text())["rows"]
    assert [(row["method"], row["population"]) for row in again] == list(ROWS)
    for row in again:
        committed = ROWS[row["method"], row["population"]]
        assert row["violated"] == pytest.approx(committed["violated"], abs=0.12)
        assert row["coverage"] == pytest.approx(committed["coverage"], abs=0.03)
        assert row["risk"] == pytest.approx(committed["risk"], abs=0.015)
        assert row["oracle_coverage"] == committed["oracle_coverage"]


def test_what_the_note_concludes() -> None:
    for method in ("ltt", "sgr"):
        assert ROWS[method, "in domain"]["violated"] <= 0.05
        others = [row for (m, name), row in ROWS.items() if m == method and name != "in domain"]
        assert len(others) == 4
        assert all(row["violated"] > 0.05 for row in others)
    promised = {name: row["generalised_risk"] <= 0.1 for (method, name), row in ROWS.items() if method == "crc"}
    assert promised["in domain"]
    assert promised["harder questions"]
    assert not promised["overconfident"]
    assert not promised["attacked"]


def test_risks_are_exact() -> None:
    """In domain, answering a share c of the questions has the risk .005 + .2 c; the oracle answers 47.5% for 10%."""
    world = guarantee_ood.populations()["in domain"]
    coverage, wrong = world.above(np.array([0.0, 0.5, 0.9, np.inf]))
    assert coverage == pytest.approx([1.0, 0.5, 0.1, 0.0], abs=1e-3)
    assert wrong == pytest.approx(coverage * (0.005 + 0.2 * coverage), abs=1e-4)
    assert world.best_coverage() == pytest.approx(0.475, abs=1e-3)


def test_questions_on_a_picture_share_their_luck_and_nothing_else() -> None:
    world = guarantee_ood.populations()["in domain"]
    for per_picture in (1, 10):
        right = np.array([accuracy.mean() for _, accuracy in guarantee_ood.splits(world, 200, per_picture)])
        assert right.mean() == pytest.approx(1 - 0.205, abs=0.01)
        if per_picture == 1:
            spread = right.std()
    assert right.std() > 2 * spread
