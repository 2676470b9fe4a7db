"""`lit-vlr score` as a user calls it, and the scores behind it."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import lit_vlr.functional
from lit_vlr.cli import main
from lit_vlr.functional import aurc, empirical_threshold, group_bootstrap, paired_difference
from lit_vlr.scoring.selective import METRICS, answers_of, compare, score
from lit_vlr.scoring.weighted import Weighted
from lit_vlr.threshold_file import read_threshold, write_threshold
from tests._answers import annotations, predictions, write
from tests.oracles import selective as oracle

FIRST = predictions(60)
SECOND = [replace(p, accuracy=p.accuracy * 0.5, confidence=1 - p.confidence) for p in FIRST]
ARGS = ["--resamples", "50"]
WORDS = {
    # Where annotators are unanimous the official script takes no article away.
    **{"vqa_accuracy@no_skip": 1.0, "vqa_accuracy@official": 0.0, "vqa_accuracy@pre2021": 1.0},
    **{"vqa_accuracy@evalai": 1.0, "exact_match": 0.0, "anls": 4 / 6, "relaxed_accuracy": 0.0},
    "declined_in_words": 0.0,
}
"""Everybody says "kite" and every answer is "a kite"."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "first.jsonl", FIRST)
    write(tmp_path / "second.jsonl", random.Random(0).sample(SECOND, len(SECOND)))
    return tmp_path


def as_json(capsys, *args: str):
    assert main(["score", *args, *ARGS, "--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def bad(capsys, *args: str) -> str:
    assert main(["score", *args]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    return said.err


def expected(rows, abstains) -> dict[str, float]:
    """By the plain-Python oracles; distinct confidences, so that nothing has to be permuted."""
    confidence, correctness = [p.confidence for p in rows], [p.accuracy for p in rows]
    answered = [p for p in rows if not abstains(p)]
    decided = [0.0 if abstains(p) else 1.0 for p in rows]
    (order,) = oracle.orders(confidence)
    risks = oracle.prefix_risks(order, correctness)
    best = oracle.prefix_risks(sorted(range(len(rows)), key=lambda i: -correctness[i]), correctness)
    random_area, area, best_area = 1 - oracle.average(correctness), *(oracle.area(r, "mean") for r in (risks, best))
    return {
        "accuracy": oracle.average(correctness),
        "abstention_rate": 1 - len(answered) / len(rows),
        "selective_accuracy": oracle.average(p.accuracy for p in answered),
        **{
            f"effective_reliability@{c}": oracle.effective_reliability(decided, correctness, c, 0.5)
            for c in (1, 10, 100)
        },
        "aurc": area,
        "aurc_trapezoid": oracle.area(risks, "trapezoid"),
        "aurc_geifman": oracle.aurc(confidence, correctness, "geifman"),
        "excess_aurc": area - best_area,
        "augrc": oracle.augrc(confidence, correctness),
        "excess_augrc": oracle.augrc(confidence, correctness) - oracle.augrc(range(60), sorted(correctness)),
        "auroc": oracle.auroc(confidence, correctness),
        "expected_calibration_error": oracle.expected_calibration_error(confidence, correctness, 15),
        "adaptive_calibration_error": oracle.adaptive_calibration_error(confidence, correctness, 15),
        "brier_score": oracle.brier_score(confidence, correctness),
        "prediction_rejection_ratio": (area - random_area) / (best_area - random_area),
        **{
            f"coverage_at_risk@{r}": oracle.coverage_at_risk(confidence, correctness, r) for r in (0.01, 0.05, 0.1, 0.2)
        },
        **{f"risk_at_coverage@{c}": oracle.risk_at_coverage(confidence, correctness, c) for c in (0.5, 0.8)},
    }


def values(metrics) -> dict[str, float]:
    return {name: entry["value"] for name, entry in metrics.items()}


def test_every_metric_equals_its_oracle(folder, capsys) -> None:
    document = as_json(capsys, "--predictions", "first.jsonl")
    (entry,) = document["files"]
    assert (entry["file"], entry["n"], entry["images"]) == ("first.jsonl", 60, 30)
    assert list(entry["metrics"])[: len(METRICS)] == list(METRICS)
    assert values(entry["metrics"]) == pytest.approx(expected(FIRST, lambda p: p.abstained) | WORDS, abs=1e-9)
    assert document["differences"] == []


def test_scores_that_are_no_probabilities_have_no_calibration(folder, capsys) -> None:
    write(folder / "logits.jsonl", [replace(p, confidence=10 * p.confidence - 5) for p in FIRST])
    metrics = as_json(capsys, "--predictions", "logits.jsonl")["files"][0]["metrics"]
    undefined = {name for name, entry in metrics.items() if entry["value"] is None}
    assert undefined == {"expected_calibration_error", "adaptive_calibration_error", "brier_score"}


def test_intervals_are_over_pictures(folder, capsys) -> None:
    metrics = as_json(capsys, "--predictions", "first.jsonl")["files"][0]["metrics"]
    groups = [p.image_id for p in FIRST]
    interval = group_bootstrap("mean", [p.accuracy for p in FIRST], groups=groups, n_resamples=50)
    assert list(metrics["accuracy"].values()) == pytest.approx(list(interval))


def test_two_files_are_compared_question_by_question(folder, capsys) -> None:
    document = as_json(capsys, "--predictions", "first.jsonl", "second.jsonl")
    first, second = (values(entry["metrics"]) for entry in document["files"])
    (difference,) = document["differences"]
    assert (difference["file"], difference["minus"]) == ("second.jsonl", "first.jsonl")
    assert values(difference["metrics"]) == pytest.approx({name: second[name] - first[name] for name in first})
    result = paired_difference(
        "mean",
        [[p.accuracy for p in SECOND]],
        [[p.accuracy for p in FIRST]],
        first_uids=[p.uid for p in SECOND],
        second_uids=[p.uid for p in FIRST],
        groups=[p.image_id for p in SECOND],
        n_resamples=50,
    )
    assert list(difference["metrics"]["accuracy"].values()) == pytest.approx(list(result))


@pytest.mark.parametrize("given", ["file", "0.62", "inf", "-inf"])
def test_a_threshold_replaces_the_recorded_decisions(folder, capsys, given) -> None:
    least = 0.62
    if given == "file":
        choice = empirical_threshold([0.62, 0.1], [1.0, 0.0], 0.1)
        write_threshold(folder / "t.json", choice, folder / "first.jsonl", 30, "SequenceProbability()")
    else:
        least = float(given)
    document = as_json(capsys, "--predictions", "first.jsonl", f"--threshold={'t.json' if given == 'file' else given}")
    found = values(document["files"][0]["metrics"])
    assert document["threshold"] == (given if "inf" in given else 0.62)
    if given == "inf":
        assert (found["abstention_rate"], found["selective_accuracy"]) == (1.0, None)
        assert found["effective_reliability@100"] == 0.0
    else:
        assert found == pytest.approx(expected(FIRST, lambda p: p.confidence < least) | WORDS, abs=1e-9)


def test_the_table_holds_every_number(folder, capsys) -> None:
    assert main(["score", "--predictions", "first.jsonl", "second.jsonl", "--threshold", "inf", *ARGS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[-1].strip() == "second - first"
    assert [line.split()[0] for line in lines[1 : 1 + len(METRICS)]] == list(METRICS)
    assert lines[-1] == "answered: confidence of at least inf"
    interval = score(answers_of(FIRST), 50)["aurc"]
    (line,) = [line for line in lines if line.startswith("aurc ")]
    assert f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]" in line
    difference = compare(answers_of(SECOND), answers_of(FIRST), 50)["aurc"]
    assert line.endswith(
        f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] p={difference.p_value:.3f}"
    )
    (line,) = [line for line in lines if line.startswith("selective_accuracy")]
    assert line.split()[1:] == ["-"] * 3  # nothing is answered


def test_files_of_one_name_are_told_apart(folder, capsys) -> None:
    write(folder / "other" / "first.jsonl", SECOND)
    assert main(["score", "--predictions", "first.jsonl", "other/first.jsonl", *ARGS]) == 0
    assert "other/first.jsonl - first.jsonl" in capsys.readouterr().out
    paths = [write(folder / arm / "predictions" / "test.jsonl", FIRST) for arm in ("standard", "robust/a")]
    assert main(["score", "--predictions", *map(str, paths), *ARGS]) == 0
    assert "robust/a - standard" in capsys.readouterr().out


def test_one_picture_has_no_interval(folder, capsys) -> None:
    write(folder / "one.jsonl", FIRST[:2])
    metrics = as_json(capsys, "--predictions", "one.jsonl")["files"][0]["metrics"]
    assert metrics["accuracy"]["low"] is None
    assert main(["score", "--predictions", "one.jsonl"]) == 0
    assert "[-]" in capsys.readouterr().out


def test_row_order_never_matters() -> None:
    shuffled = random.Random(1).sample(FIRST, len(FIRST))
    assert np.allclose(
        list(score(answers_of(FIRST), 20).values()),
        list(score(answers_of(shuffled), 20).values()),
        equal_nan=True,
        atol=1e-12,
    )


def test_earlier_evaluations_are_scored(folder, capsys) -> None:
    said = annotations(folder / "annotations.json", {0: ["red"] * 10, 1: ["red"] * 3 + ["blue"] * 7, 2: ["blue"] * 10})
    rows = [{"question_id": i, "answer": "red", "confidence": c} for i, c in enumerate((0.2, 0.9, 0.5))]
    (folder / "answers.json").write_text(json.dumps(rows))
    document = as_json(capsys, "--predictions", "answers.json", "--annotations", str(said))
    found = values(document["files"][0]["metrics"])
    assert found["accuracy"] == pytest.approx(1.9 / 3)
    assert found["abstention_rate"] == 0.0
    assert found["aurc"] == pytest.approx((0.1 + 1.1 / 2 + 1.1 / 3) / 3)  # losses .1, 1, 0 in this order


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "the following arguments are required: --predictions"),
        (["--predictions", "none.jsonl"], "none.jsonl"),
        (["--predictions", "first.jsonl", "first.jsonl"], "one is given twice"),
        (["--predictions", "first.jsonl", "--threshold", "nan"], "got nan; inf abstains"),
        (["--predictions", "first.jsonl", "--threshold", "none.json"], "Expected a threshold file at none.json"),
        (["--predictions", "first.jsonl", "--threshold", "first.jsonl"], "first.jsonl is none"),
        (["--predictions", "first.jsonl", "--resamples", "0"], "--resamples of at least 1 but got 0"),
        (["--predictions", "first.jsonl", "--dialect", "mine"], "invalid choice: 'mine'"),
        (["--predictions", "first.jsonl", "part.jsonl"], "Expected part.jsonl to be about what first.jsonl is about"),
        (["--predictions", "first.jsonl", "--threshold", "other.json"], "but other.json is for FirstTokenMargin()"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, args, message) -> None:
    write(folder / "part.jsonl", FIRST[:30])
    choice = empirical_threshold([0.6], [1.0], 0.1)
    write_threshold(folder / "other.json", choice, folder / "first.jsonl", 30, "FirstTokenMargin()")
    assert message in bad(capsys, *args)


def test_wrong_rows_are_one_line(folder, capsys) -> None:
    lines = (folder / "second.jsonl").read_text().splitlines()
    lines[4] = json.dumps(json.loads(lines[4]) | {"confidence": math.nan})
    (folder / "second.jsonl").write_text("\n".join(lines) + "\n")
    said = bad(capsys, "--predictions", "first.jsonl", "second.jsonl")
    assert "second.jsonl:5: expected finite numbers but got NaN" in said


def test_weights_are_repetition() -> None:
    """What the bootstrap computes from weights is what every metric says of rows given so often, ties included."""
    generator = np.random.default_rng(4)
    rows = [replace(p, confidence=round(p.confidence, 1)) for p in FIRST]
    weights = generator.integers(0, 4, (6, len(rows)))
    answers = answers_of(rows)
    once = Weighted(answers, weights)
    found = {name: metric(once) for name, metric in METRICS.items()}
    for i, counts in enumerate(weights):
        repeated = answers.rows(np.repeat(np.arange(len(rows)), counts))
        expected = Weighted(repeated, np.ones((1, len(repeated.uids)), dtype=np.int64))
        for name, metric in METRICS.items():
            assert float(found[name][i]) == pytest.approx(float(metric(expected)), abs=1e-9, nan_ok=True), name


def test_what_declines_in_words_is_given_last_and_under_no_threshold() -> None:
    """The scores are those of the functional package with `abstained=`, under weights as under repetition."""
    rows = [replace(p, abstained=p.abstained or i % 5 == 0, declined=i % 5 == 0) for i, p in enumerate(FIRST)]
    answers = answers_of(rows, threshold=-math.inf)
    assert answers.abstained.tolist() == [float(p.declined) for p in rows]
    weights = np.random.default_rng(7).integers(0, 3, (4, len(rows)))
    weighted = Weighted(answers, weights)
    columns = {"confidence": answers.confidence, "correctness": answers.correctness, "abstained": answers.abstained}
    names = ("aurc", "augrc", "auroc", "excess_aurc", "excess_augrc", "prediction_rejection_ratio", "brier_score")
    functional = {
        **{name: getattr(lit_vlr.functional, name) for name in names},
        "aurc_geifman": partial(aurc, convention="geifman"),
        "coverage_at_risk@0.1": partial(lit_vlr.functional.coverage_at_risk, max_risk=0.1),
        "risk_at_coverage@0.5": partial(lit_vlr.functional.risk_at_coverage, coverage=0.5),
        "expected_calibration_error": lit_vlr.functional.expected_calibration_error,
        "adaptive_calibration_error": lit_vlr.functional.adaptive_calibration_error,
    }
    for name, of in functional.items():
        for found, counts in zip(METRICS[name](weighted).tolist(), weights, strict=True):
            repeated = {key: np.repeat(column, counts) for key, column in columns.items()}
            assert found == pytest.approx(float(of(**repeated)), abs=1e-9, nan_ok=True), name
    nothing = answers_of([replace(p, abstained=True, declined=True) for p in FIRST])
    assert float(METRICS["aurc"](Weighted(nothing, weights))[0]) == 1
    assert float(METRICS["coverage_at_risk@0.1"](Weighted(nothing, weights))[0]) == 0


def test_the_bootstrap_is_the_one_of_the_functional_package() -> None:
    groups = [p.image_id for p in FIRST]
    confidence, correctness = ([getattr(p, name) for p in FIRST] for name in ("confidence", "accuracy"))
    slow = group_bootstrap(aurc, confidence, correctness, groups=groups, n_resamples=40)
    assert list(score(answers_of(FIRST), 40)["aurc"]) == pytest.approx(list(slow))


def test_groups_and_the_worst_of_them(folder, capsys) -> None:
    rows = [replace(p, metadata={"kind": "odd" if i % 2 else "even"}) for i, p in enumerate(FIRST)]
    rows = [replace(p, accuracy=0.5 * p.accuracy) if p.metadata["kind"] == "odd" else p for p in rows]
    write(folder / "grouped.jsonl", rows)
    (entry,) = as_json(capsys, "--predictions", "grouped.jsonl", "--by", "kind")["files"]
    assert [entry["groups"][kind]["n"] for kind in ("even", "odd")] == [30, 30]
    for kind in ("even", "odd"):
        mean = np.mean([p.accuracy for p in rows if p.metadata["kind"] == kind])
        assert entry["groups"][kind]["accuracy"] == pytest.approx(mean)
    assert entry["worst"]["accuracy"]["group"] == "odd"
    assert "abstention_rate" not in entry["worst"]
    assert "'other'" in bad(capsys, "--predictions", "grouped.jsonl", "--by", "other")


def test_the_page_holds_every_number_and_fetches_nothing(folder, capsys) -> None:
    args = ["score", "--predictions", "first.jsonl", "second.jsonl", *ARGS, "--html", "out/page.html"]
    assert main(args) == 0
    capsys.readouterr()
    page = (folder / "out" / "page.html").read_text()
    for one, other in ((FIRST, None), (SECOND, FIRST)):
        intervals = score(answers_of(one), 50) if other is None else compare(answers_of(one), answers_of(other), 50)
        sign = "" if other is None else "+"
        for name, interval in intervals.items():
            assert f">{name}" in page
            if not math.isnan(interval.value):
                assert f"{interval.value:{sign}.4f}<small>" in page, name
    assert "minus first" in page
    assert page.count("<svg") == 1
    assert "Content-Security-Policy" in page
    assert not re.search(r"(src|href)=.(?!#)|url\(http", page)
    assert list((folder / "out").iterdir()) == [folder / "out" / "page.html"]  # nothing half-written


def test_names_in_the_page_are_text(folder, capsys) -> None:
    write(folder / "<b>&.jsonl", FIRST)
    assert main(["score", "--predictions", "<b>&.jsonl", *ARGS, "--html", "page.html"]) == 0
    page = (folder / "page.html").read_text()
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page


def test_the_page_replaces_no_predictions(folder, capsys) -> None:
    assert "another file than --predictions" in bad(capsys, "--predictions", "first.jsonl", "--html", "first.jsonl")


def test_a_calibrator_says_what_confidences_are_worth(folder, capsys) -> None:
    """Margins are no probabilities: calibration errors are those of what the calibrator makes of them."""
    rows = [replace(p, confidence=20 * p.confidence - 5) for p in predictions(400, seed=3)]
    write(folder / "margins.jsonl", rows, confidence=None)
    args = ["--predictions", "margins.jsonl", "--method", "coverage", "--coverage", ".5", "--calibrator", "platt"]
    assert main(["calibrate", *args, "--out", "t.json"]) == 0
    assert "calibrator: platt; at the threshold it expects an accuracy of" in capsys.readouterr().out
    before = as_json(capsys, "--predictions", "margins.jsonl")["files"][0]
    after = as_json(capsys, "--predictions", "margins.jsonl", "--threshold", "t.json")["files"][0]
    assert (before["calibrated"], after["calibrated"]) == (False, True)
    assert before["metrics"]["brier_score"]["value"] is None
    calibrator = read_threshold(folder / "t.json").calibrator
    assert calibrator is not None
    stated = calibrator([p.confidence for p in rows]).tolist()
    brier = oracle.brier_score(stated, [p.accuracy for p in rows])
    assert after["metrics"]["brier_score"]["value"] == pytest.approx(brier)
    assert after["metrics"]["aurc"] == before["metrics"]["aurc"]  # the order is that of the confidences


def test_official_results_have_metrics_of_decisions_alone(folder, capsys) -> None:
    said = annotations(folder / "annotations.json", {i: ["red"] * 10 for i in range(6)})
    (folder / "results.json").write_text(json.dumps([{"question_id": i, "answer": "red"} for i in range(6)]))
    given = ["--predictions", "results.json", "--annotations", str(said)]
    found = values(as_json(capsys, *given)["files"][0]["metrics"])
    assert {name for name, value in found.items() if value is not None} == {
        "accuracy", "abstention_rate", "selective_accuracy", *WORDS,
        *(f"effective_reliability@{c}" for c in (1, 10, 100))
    }  # fmt: skip
    assert "without confidences: only metrics of decisions" in (main(["score", *given]), capsys.readouterr().out)[1]
    assert "Expected confidences to compare with the threshold" in bad(capsys, *given, "--threshold", "0.5")


def test_a_mistake_is_said_without_loading_a_model_library(tmp_path) -> None:
    """Whoever only scores files should neither wait for transformers nor read what bitsandbytes says of the machine."""
    code = (
        "import sys; from lit_vlr.cli import main; status = main(['score', '--predictions', 'none.jsonl']); "
        "print(status, [name for name in ('transformers', 'bitsandbytes', 'lightning', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "2 []"
    assert done.stderr.startswith("lit-vlr: error: Expected a predictions file at 'none.jsonl'")
    assert len(done.stderr.splitlines()) == 1
