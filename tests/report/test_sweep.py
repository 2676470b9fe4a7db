"""Thresholds moved from the frozen ones: rates on whole sets against plain loops, ties, fits, declined answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lit_vlr.functional import risk_coverage_curve
from lit_vlr.predictions import read_predictions
from lit_vlr.report import build_report
from lit_vlr.report.pooling import read_arms
from lit_vlr.report.runs import read_runs
from lit_vlr.report.sweep import POSITIONS, STEPS, as_json, frozen, moved, sweep
from lit_vlr.types import Prediction
from tests.oracles.selective import cuts

Factory = dict[str, Callable[..., Any]]


class Data(HTMLParser):
    """What the page hands to its script."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self._inside, self.text = False, ""
        self.feed(page.read_text())
        self.found = json.loads(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = ("id", "threshold-data") in attrs

    def handle_data(self, data: str) -> None:
        self.text += data if self._inside else ""


def plain(fits: Sequence[tuple[Sequence[Prediction], float | None]]) -> tuple[float, float | None]:
    """Coverage and risk of all fits' answers, each at its threshold; None is one that nothing reaches."""
    asked = answered = 0
    wrong = 0.0
    for predictions, threshold in fits:
        for p in predictions:
            asked += 1
            if threshold is not None and p.confidence >= threshold:
                answered += 1
                wrong += 1 - p.accuracy
    return answered / asked, wrong / answered if answered else None


def test_the_page_holds_what_loops_and_functional_find_at_every_place(runs: list[Path], tmp_path: Path) -> None:
    found = Data(build_report(runs, tmp_path, n_resamples=20)).found
    assert found["positions"] == [-100, 100]
    for run, arm in zip(runs, found["arms"], strict=True):
        assert arm["thresholds"][100] == 0.5  # the frozen one
        assert len(arm["thresholds"]) == 201
        for name, rates in arm["sets"].items():
            rows = read_predictions(run / "predictions" / f"{name}.jsonl")
            columns = [p.confidence for p in rows], [p.accuracy for p in rows]
            curve = risk_coverage_curve(*columns)
            points = list(zip(curve.coverage.tolist(), curve.risk.tolist(), curve.threshold.tolist(), strict=True))
            assert points == pytest.approx(np.array(cuts(*columns)))
            for threshold, coverage, risk in zip(arm["thresholds"], rates["coverage"], rates["risk"], strict=True):
                expected = plain([(rows, threshold)])
                assert coverage == pytest.approx(expected[0], abs=5.1e-5)
                assert risk == (None if expected[1] is None else pytest.approx(expected[1], abs=5.1e-5))
                realised = [p for p in points if threshold is not None and p[2] >= threshold]
                assert (coverage, risk) == ((0, None) if not realised else pytest.approx(realised[-1][:2], abs=5.1e-5))
            recorded = [p.accuracy for p in rows if not p.abstained]
            assert rates["coverage"][100] == pytest.approx(len(recorded) / len(rows), abs=5.1e-5)
            assert rates["coverage"][0] == 0
            assert rates["coverage"][-1] == 1
            assert rates["coverage"] == sorted(rates["coverage"])


def test_positions_are_shares_of_what_the_frozen_threshold_gives_and_withholds() -> None:
    confidence = np.random.default_rng(0).permutation(100) / 100
    thresholds = moved(confidence, 0.6)  # gives .60 to .99, withholds the other 60
    assert [int((confidence >= t).sum()) for t in thresholds] == [
        40 + (40 * p // 100 if p < 0 else 60 * p // 100) for p in POSITIONS
    ]


@pytest.mark.parametrize("start", [0.8, 0.3, math.inf, -math.inf])
def test_equal_confidences_are_answered_together(start: float) -> None:
    confidence = np.array([0.9, 0.8, 0.8, 0.8, 0.8, 0.5])
    thresholds = moved(confidence, start)
    assert thresholds[STEPS] == start
    assert {int((confidence >= t).sum()) for t in thresholds} <= {0, 1, 5, 6}
    assert (thresholds[0], (confidence >= thresholds[-1]).all()) == (math.inf, True)
    assert (np.diff(thresholds[np.isfinite(thresholds)]) <= 0).all()


def test_nothing_and_everything_answered_can_be_written_as_json(factory: Factory, tmp_path: Path) -> None:
    made = factory["make_predictions"]("standard", "test", 6)
    for name, threshold in (("none", math.inf), ("all", -math.inf)):
        rows = [replace(p, abstained=name == "none") for p in made]
        factory["write_set"](tmp_path / name, "test", rows, threshold=threshold)
        (run,) = read_runs([tmp_path / name])
        arm = json.loads(json.dumps(as_json([sweep(run)]), allow_nan=False))["arms"][0]
        assert arm["sets"]["test"]["coverage"][100] == (name == "all")
        assert (arm["thresholds"][100] is None) == (name == "none")


def test_fits_move_together_each_on_its_own_scale(factory: Factory, tmp_path: Path) -> None:
    made = factory["make_predictions"]("standard", "test", 40)
    large = [replace(p, confidence=100 * p.confidence, accuracy=1 - p.accuracy) for p in made]
    factory["write_set"](tmp_path / "arm-0", "test", made, threshold=0.5)
    factory["write_set"](tmp_path / "arm-1", "test", large, threshold=50.0, seed=1)
    (run,) = read_arms({"arm": [tmp_path / "arm-0", tmp_path / "arm-1"]})
    found = sweep(run)
    assert [one[STEPS] for one in found.thresholds] == [0.5, 50.0]
    for place in range(len(POSITIONS)):
        first, second = (one[place] for one in found.thresholds)
        assert second == pytest.approx(100 * first)
        coverage, risk = plain([(made, first), (large, second)])
        assert found.sets["test"].coverage[place] == pytest.approx(coverage)
        assert found.sets["test"].risk[place] == (None if risk is None else pytest.approx(0.5))


def test_what_was_declined_in_words_is_given_at_no_threshold(factory: Factory, tmp_path: Path) -> None:
    made = factory["make_predictions"]("standard", "test", 40)
    rows = [replace(p, abstained=p.abstained or i < 10) for i, p in enumerate(made)]
    factory["write_set"](tmp_path / "arm", "test", rows)
    (run,) = read_runs([tmp_path / "arm"])
    found = sweep(run).sets["test"]
    words = sum(p.confidence >= 0.5 for p in made[:10])
    assert words > 0
    assert found.coverage[STEPS] == pytest.approx(sum(not p.abstained for p in rows) / 40)
    assert found.coverage[-1] == pytest.approx((40 - words) / 40)
    given = [p for i, p in enumerate(made) if i >= 10 or p.confidence < 0.5]
    assert found.risk[-1] == pytest.approx(sum(1 - p.accuracy for p in given) / len(given))


def test_what_is_recorded_as_declined_is_given_at_no_threshold(factory: Factory, tmp_path: Path) -> None:
    """Its confidence of 0 is below the frozen threshold, as if the score alone had withheld it."""
    made = factory["make_predictions"]("standard", "test", 40)
    rows = [replace(p, confidence=0.0, abstained=True, declined=True) if i < 10 else p for i, p in enumerate(made)]
    factory["write_set"](tmp_path / "arm", "test", rows)
    (run,) = read_runs([tmp_path / "arm"])
    found = sweep(run).sets["test"]
    assert found.coverage[-1] == pytest.approx(30 / 40)
    assert found.risk[-1] == pytest.approx(sum(1 - p.accuracy for p in made[10:]) / 30)


def test_a_threshold_that_was_not_recorded_is_read_off_the_decisions(factory: Factory, tmp_path: Path) -> None:
    made = factory["make_predictions"]("standard", "test", 40)
    factory["write_set"](tmp_path / "arm", "test", made, threshold=None)
    (run,) = read_runs([tmp_path / "arm"])
    assert frozen(run) == min(p.confidence for p in made if not p.abstained)
    assert sweep(run).sets["test"].coverage[STEPS] == pytest.approx(sum(not p.abstained for p in made) / 40)


def test_without_labels_there_is_coverage_and_no_risk(factory: Factory, tmp_path: Path) -> None:
    made = factory["make_predictions"]("standard", "test", 20, has_labels=False)
    factory["write_set"](tmp_path / "arm", "test", made)
    found = sweep(read_runs([tmp_path / "arm"])[0]).sets["test"]
    assert set(found.risk) == {None}
    assert found.coverage[-1] == 1
