"""The benchmark of reading: its files are read, and its committed figures are within the limits."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reading_speed import LIMITS, QUESTIONS, measure, write_files
from tests._tiny import ROOT


def test_its_files_are_read_in_a_process_of_their_own(tmp_path: Path) -> None:
    sizes = write_files(tmp_path / "vqav2", 2000, 400)
    assert all(size > 100_000 for size in sizes.values())
    found = measure(tmp_path / "vqav2", 2000)
    assert 0 < found["seconds"] < LIMITS["seconds"]
    assert 0.05 < found["peak_gb"] < LIMITS["peak_gb"]


def test_committed_figures_are_within_the_limits() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "reading_speed.json").read_text())
    assert result["questions"] == QUESTIONS
    assert result["limits"] == LIMITS
    assert len(result["runs"]) >= 3
    assert all(run[key] <= LIMITS[key] for run in result["runs"] for key in LIMITS)
