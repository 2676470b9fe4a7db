"""The report says whether attacks are to be believed: what the check found, and what is left in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lit_vlr.report import build_report, trust
from lit_vlr.report.runs import read_runs
from tests.report.conftest import make_predictions, write_set

CHECK = {
    "n": 4,
    "clean_loss": 0.5,
    "one_step_loss": 1.25,
    "half_range_loss": 1.5,
    "attacked_loss": 2.0,
    "random_loss": -0.25,
    "unbounded_loss": 9.0,
    "unbroken": 0.25,
    "problems": ["Without a bound 25% of the samples survive.", "Another sign."],
}
PNG = {
    "n": 24,
    "attacked_accuracy": 0.3,
    "png_accuracy": 0.325,
    "fooled": 10,
    "still_fooled": 9,
    "largest_change": 2 / 255,
}


def write_run(folder: Path, **entries: Any) -> Path:
    write_set(folder, "test", make_predictions("standard", "test", 24))
    write_set(folder, "test+linf_pgd", make_predictions("standard", "test+linf_pgd", 24), **entries)
    return folder


def test_cells_by_hand() -> None:
    assert trust.cells({"check": CHECK, "png": PNG}) == [
        ("0.50 → 1.25 → 1.50 → 2.00", "4 questions"),
        ("−0.25", ""),
        ("25.0%", "loss 9.00"),
        ("30.0% → 32.5%", "of 24"),
        ("90.0%", "of 10"),
        ("2/255", ""),
        ("2", "Without a bound 25% of the samples survive. Another sign."),
    ]
    clean = CHECK | {"problems": [], "one_step_loss": None, "unbroken": None}
    assert trust.cells({"check": clean}) == [
        ("0.50 → – → 1.50 → 2.00", "4 questions"),
        ("−0.25", ""),
        None,
        None,
        None,
        None,
        ("none found", ""),
    ]
    assert trust.cells({"png": PNG | {"fooled": 0}})[4] is None


def test_the_page_and_its_markdown_show_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "standard", check=CHECK, png=PNG)
    page = build_report([run], tmp_path / "out", n_resamples=20)
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        assert "Whether the attacks are to be believed" in text
        assert "0.50 → 1.25 → 1.50 → 2.00" in text
        assert "30.0% → 32.5%" in text
        assert "Another sign." in text
    assert "still_fooled" not in page.read_text()  # shown once, not again among the manifests
    assert [group["set"] for group in trust.rows(read_runs([run]))] == ["test+linf_pgd"]


@pytest.mark.parametrize("entries", [{}, {"check": None, "png": None}])
def test_runs_from_before_have_no_such_table(tmp_path: Path, entries: dict[str, Any]) -> None:
    page = build_report([write_run(tmp_path / "standard", **entries)], tmp_path / "out", n_resamples=20)
    assert "to be believed" not in page.read_text()
