"""Several fits of one arm as one: rates over all answers, areas of each fit, pictures drawn with all fits' answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lit_vlr.functional import aurc, risk_coverage_curve
from lit_vlr.predictions import read_predictions
from lit_vlr.report import build_report
from lit_vlr.report.pooling import mean_curve, read_arms
from lit_vlr.report.summary import summarize

Factory = dict[str, Callable[..., Any]]


@pytest.fixture
def fits(tmp_path: Path, factory: Factory) -> list[Path]:
    """Two fits of one arm, whose confidences are of different scales."""
    folders = []
    for seed, arm in enumerate(("standard", "adversarial")):
        folder = tmp_path / f"sft-{seed}"
        for name in ("test", "test+linf_pgd"):
            made = factory["make_predictions"](arm, name, 40)
            factory["write_set"](folder, name, made, seed=seed, threshold=0.5 + seed / 10)
        folders.append(folder)
    return folders


def test_rates_are_of_all_answers_and_areas_of_each_fit(fits: list[Path]) -> None:
    (run,) = read_arms({"sft": fits})
    summary = summarize([run], n_resamples=50, n_resamples_rows=20)
    assert summary.arms == ("sft",)
    for row in summary.rows:
        each = [read_predictions(folder / "predictions" / f"{row.set}.jsonl") for folder in fits]
        assert row.n == sum(map(len, each)) == 80
        accuracy = np.mean([p.accuracy for predictions in each for p in predictions])
        assert row.rates.accuracy is not None
        assert row.rates.accuracy.value == pytest.approx(accuracy)
        areas = [float(aurc([p.confidence for p in q], [p.accuracy for p in q])) for q in each]
        assert row.aurc is not None
        assert row.aurc.value == pytest.approx(np.mean(areas))
    (change,) = summary.changes
    assert change.n == 80


def test_a_picture_brings_the_answers_of_all_fits(fits: list[Path]) -> None:
    """One fit twice is no more data: intervals stay as they are."""
    (once,), (twice,) = read_arms({"sft": fits[:1]}), read_arms({"sft": [fits[0], _copy(fits[0])]})
    first, second = (summarize([run], n_resamples=50, n_resamples_rows=20).rows[0] for run in (once, twice))
    assert (first.n, second.n) == (40, 80)
    assert second.rates.accuracy == pytest.approx(first.rates.accuracy)
    assert second.aurc == pytest.approx(first.aurc)


def _copy(folder: Path) -> Path:
    other = folder.parent / "copy"
    other.mkdir()
    (other / "predictions").symlink_to(folder / "predictions")
    return other


def test_a_fit_without_a_set_leaves_the_others_paired(fits: list[Path], factory: Factory, tmp_path: Path) -> None:
    """Fit 1 answered an attacked set that fit 0 has not; its clean twin are its own answers."""
    made = factory["make_predictions"]("adversarial", "test+rotation", 40)
    factory["write_set"](fits[1], "test+rotation", made, threshold=0.6)
    (run,) = read_arms({"sft": fits})
    assert run.sets["test+rotation"].fits == (1,) * 40
    assert run.sets["test+rotation"].thresholds == {1: 0.6}
    (change,) = (c for c in summarize([run], n_resamples=20, n_resamples_rows=5).changes if c.attack == "rotation")
    clean = read_predictions(fits[1] / "predictions" / "test.jsonl")
    assert change.n == 40
    assert change.accuracy_loss is not None
    lost = np.mean([p.accuracy - q.accuracy for p, q in zip(clean, made, strict=True)])
    assert change.accuracy_loss.value == pytest.approx(lost)


def test_manifests_say_what_differs(fits: list[Path]) -> None:
    (run,) = read_arms({"sft": fits})
    manifest = run.sets["test"].manifest
    assert (manifest["seed"], manifest["threshold"], manifest["data"]) == ("0, 1", "0.5, 0.6", "scenes, seed 0")


def test_the_mean_curve_has_the_mean_area() -> None:
    columns = [([0.9, 0.8, 0.8, 0.1], [1.0, 0.0, 1.0, 0.0]), ([9, 7, 5, 3], [0.0, 1.0, 1.0, 0.3])]
    coverage, risk = mean_curve([risk_coverage_curve(*one) for one in columns])
    assert coverage == [0.25, 0.5, 0.75, 1.0]
    assert np.mean(risk) == pytest.approx(np.mean([float(aurc(*one)) for one in columns]))


def test_a_report_of_arms(fits: list[Path], tmp_path: Path) -> None:
    arms = {"both": fits, "first": fits[:1]}
    page = build_report(arms, tmp_path / "out.html", n_resamples=20).read_text()
    assert 'data-arm="both"' in page
    assert 'data-arm="sft-0"' not in page
    assert "80" in page
