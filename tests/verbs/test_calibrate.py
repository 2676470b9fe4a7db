"""`lit-vlr calibrate` as a user calls it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from lit_vlr.calibration import KINDS
from lit_vlr.cli import main
from lit_vlr.errors import UserError
from lit_vlr.functional import (
    conformal_threshold,
    cost_threshold,
    coverage_threshold,
    empirical_threshold,
    learn_then_test_threshold,
    sgr_threshold,
)
from lit_vlr.threshold_file import read_threshold
from tests._answers import annotations, predictions, write

SOFT, HARD = predictions(900), predictions(900, soft=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "soft.jsonl", SOFT)
    write(tmp_path / "hard.jsonl", HARD)
    return tmp_path


def columns(rows):
    return [p.confidence for p in rows], [p.accuracy for p in rows]


def bad(capsys, *args: str) -> str:
    assert main(["calibrate", *args]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    return said.err


@pytest.mark.parametrize(
    ("file", "args", "expected"),
    [
        ("soft", ["--target-risk", "0.3"], learn_then_test_threshold(*columns(SOFT), 0.3)),
        (
            "soft",
            ["--target-risk", "0.2", "--delta", "0.1", "--starts", "3"],
            learn_then_test_threshold(*columns(SOFT), 0.2, 0.1, starts=3),
        ),
        ("hard", ["--method", "sgr", "--target-risk", ".3"], sgr_threshold(*columns(HARD), 0.3)),
        ("soft", ["--method", "crc", "--target-risk", ".1"], conformal_threshold(*columns(SOFT), 0.1)),
        ("soft", ["--method", "empirical", "--target-risk", ".1"], empirical_threshold(*columns(SOFT), 0.1)),
        ("soft", ["--method", "cost", "--cost", "1"], cost_threshold(*columns(SOFT), 1.0)),
        ("soft", ["--method", "coverage", "--coverage", ".8"], coverage_threshold(*columns(SOFT), 0.8)),
    ],
)
def test_every_method_writes_its_threshold(folder, capsys, file, args, expected) -> None:
    assert expected.feasible
    assert main(["calibrate", "--predictions", f"{file}.jsonl", *args]) == 0
    said, remarks = capsys.readouterr()
    assert ("900 questions on 450 pictures: the guarantee" in remarks) == ("none" not in expected.guarantee)
    found = read_threshold("threshold.json")
    assert (found.threshold, found.method, found.guarantee) == (expected.threshold, expected.method, expected.guarantee)
    assert found.score == "SequenceProbability()"
    assert f"answers {expected.answered} of 900 calibration questions" in said
    assert "on 450 pictures" in said
    assert f"guarantee: {expected.guarantee}" in said
    assert json.loads((folder / "threshold.json").read_text())["calibration"]["images"] == 450


def test_what_cannot_be_promised_abstains_and_says_why(folder, capsys) -> None:
    write(folder / "few.jsonl", [replace(p, accuracy=1.0) for p in SOFT[:12]])
    assert main(["calibrate", "--predictions", "few.jsonl", "--target-risk", ".1", "--out", "sub/t.json"]) == 0
    reason = "needs at least 29 answered calibration questions without error for r=0.1, delta=0.05; has 12"
    assert f"abstains on everything: {reason}" in capsys.readouterr().out
    found = read_threshold(folder / "sub" / "t.json")
    assert (found.threshold, found.reason) == (math.inf, reason)


def test_answers_of_earlier_evaluations_can_be_calibrated_on(folder) -> None:
    said = annotations(folder / "annotations.json", {i: ["red"] * 10 for i in range(40)})
    rows = [{"question_id": i, "answer": "red" if i else "blue", "confidence": i} for i in range(40)]
    (folder / "answers.json").write_text(json.dumps(rows))
    args = ["--predictions", "answers.json", "--annotations", str(said), "--method", "empirical", "--target-risk", "0"]
    assert main(["calibrate", *args]) == 0
    found = read_threshold("threshold.json")
    assert (found.threshold, found.score) == (1.0, None)


@pytest.mark.parametrize("method", [["--method", "empirical"], ["--starts", "3"]])
def test_unanswerable_is_no_right_answer_to_choose_by(folder, capsys, method) -> None:
    """A model that declines 600 of 1000 in words, rightly so, and is wrong about 15% of the others.

    With the declined for answers everything could be given at a risk of 6%.
    """
    answers = [
        replace(p, uid=f"a/{i}", confidence=0.5 + i / 1000, accuracy=float(i % 20 > 2))
        for i, p in enumerate(predictions(400, soft=False))
    ]
    declined = [
        replace(p, uid=f"d/{i}", confidence=0.0, accuracy=1.0, abstained=True, declined=True)
        for i, p in enumerate(predictions(600))
    ]
    write(folder / "both.jsonl", [*answers, *declined])
    write(folder / "answers.jsonl", answers)
    given = ["--target-risk", "0.1", *method, "--calibrator", "platt"]
    assert main(["calibrate", "--predictions", "both.jsonl", *given, "--out", "both.json"]) == 0
    assert main(["calibrate", "--predictions", "answers.jsonl", *given, "--out", "answers.json"]) == 0
    both, alone = read_threshold("both.json"), read_threshold("answers.json")
    assert both.threshold == alone.threshold > 0
    assert both.calibrator.to_dict() == alone.calibrator.to_dict()


def test_a_test_set_is_remarked_upon(folder, capsys) -> None:
    write(folder / "test.jsonl", SOFT, set="test")
    assert main(["calibrate", "--predictions", "test.jsonl", "--method", "coverage", "--coverage", "1"]) == 0
    assert "chosen on the set 'test'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--target-risk", ".1"], "the following arguments are required: --predictions"),
        (["--predictions", "soft.jsonl"], "Expected --target-risk with --method ltt but it is missing"),
        (["--predictions", "soft.jsonl", "--method", "cost"], "Expected --cost with --method cost"),
        (
            ["--predictions", "soft.jsonl", "--method", "crc", "--target-risk", ".1", "--delta", ".1"],
            "Expected no --delta with --method crc",
        ),
        (["--predictions", "soft.jsonl", "--target-risk", "1.5"], "`max_risk` in (0, 1] but got 1.5"),
        (["--predictions", "soft.jsonl", "--target-risk", "0"], "no number of questions proves"),
        (["--predictions", "soft.jsonl", "--target-risk", ".1", "--delta", "1"], "`delta` in (0, 1) but got 1"),
        (["--predictions", "soft.jsonl", "--target-risk", "nan"], "got nan"),
        (["--predictions", "soft.jsonl", "--target-risk", "much"], "invalid float value: 'much'"),
        (["--predictions", "soft.jsonl", "--method", "magic"], "invalid choice: 'magic'"),
        (["--predictions", "soft.jsonl", "--risk", ".1"], "unrecognized arguments: --risk .1"),
        (["--predictions", "soft.jsonl", "--method", "sgr", "--target-risk", ".1"], "`correctness` of 0 or 1 but got"),
        (["--predictions", "none.jsonl", "--target-risk", ".1"], "none.jsonl"),
        (["--predictions", "soft.jsonl", "--target-risk", ".1", "--out", "soft.jsonl"], "another file"),
        (["--predictions", "soft.jsonl", "--target-risk", ".1", "--out", "soft.jsonl/x"], "cannot be written"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, args, message) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    said = bad(capsys, *args)
    assert said.startswith("lit-vlr: error: ")
    assert message in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": 1.2}, "field 'accuracy': expected a number in [0, 1]"),
        ({"confidence": math.nan}, "soft.jsonl:3: expected finite numbers but got NaN"),
        ({"uid": "toy/cal/0"}, "expected every uid once but line 1 has it too"),
        ({"accuracy": None}, "expected an accuracy but got null"),
    ],
)
def test_wrong_rows_are_one_line(folder, capsys, change, message) -> None:
    lines = (folder / "soft.jsonl").read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | change)
    (folder / "soft.jsonl").write_text("\n".join(lines) + "\n")
    said = bad(capsys, "--predictions", "soft.jsonl", "--target-risk", ".1")
    assert "soft.jsonl:3" in said
    assert message in said
    assert not (folder / "threshold.json").exists()


def test_help_explains_the_methods(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["calibrate", "--help"])
    said = capsys.readouterr().out
    assert all(f"\n  {method} " in said for method in ("ltt", "sgr", "crc", "empirical", "cost", "coverage"))


@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic"])
def test_a_calibrator_is_fitted_on_the_split_and_moves_no_threshold(folder, capsys, kind) -> None:
    args = ["--predictions", "soft.jsonl", "--target-risk", "0.3"]
    assert main(["calibrate", *args, "--out", "without.json"]) == 0
    assert main(["calibrate", *args, "--calibrator", kind, "--out", "with.json"]) == 0
    without, found = read_threshold(folder / "without.json"), read_threshold(folder / "with.json")
    assert without.calibrator is None
    assert found.calibrator is not None
    assert (found.threshold, found.guarantee) == (without.threshold, without.guarantee)
    confidence, correctness = columns(SOFT)
    fitted = KINDS[kind].fit(confidence, correctness)
    assert found.calibrator.to_dict() == fitted.to_dict()
    assert f"calibrated by {kind}" in found.say()
    assert found.describe()["calibrator"] == kind
    said = f"expects an accuracy of {float(fitted([found.threshold])[0]):.3f}"
    assert said in capsys.readouterr().out


def test_a_damaged_calibrator_is_named(folder, capsys) -> None:
    args = ["--predictions", "soft.jsonl", "--target-risk", "0.3", "--calibrator", "platt"]
    assert main(["calibrate", *args]) == 0
    whole = json.loads((folder / "threshold.json").read_text())
    for damaged in ({"kind": "none"}, {"kind": "platt"}, {"kind": "platt", "slope": -1, "intercept": 0}, 3):
        (folder / "t.json").write_text(json.dumps(whole | {"calibrator": damaged}))
        with pytest.raises(UserError, match=r"t\.json"):
            read_threshold(folder / "t.json")


def test_margins_have_no_temperature(folder, capsys) -> None:
    write(folder / "margins.jsonl", [replace(p, confidence=3 * p.confidence) for p in SOFT])
    said = bad(capsys, "--predictions", "margins.jsonl", "--target-risk", "0.3", "--calibrator", "temperature")
    assert "use platt, which takes any score" in said
