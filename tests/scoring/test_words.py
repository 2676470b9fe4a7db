"""Scores of the words are those of the functions, whatever the weights."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from lit_vlr.cli import main
from lit_vlr.functional import anls, box_iou_accuracy, cider, exact_match, pope_scores, relaxed_accuracy, vqa_accuracy
from lit_vlr.scoring.accuracy import Accuracy, parse_box
from lit_vlr.scoring.annotations import Reference
from lit_vlr.scoring.words import HIGHER_IS_BETTER, word_scores

DIALECTS = ("no_skip", "official", "pre2021", "evalai")


def of(*answers: str) -> Reference:
    return Reference("1", answers)


def values(texts, references, weights=None, **options):
    counts = np.ones((1, len(texts))) if weights is None else np.array([weights], dtype=float)
    return {name: ratio.under(counts)[0] for name, ratio in word_scores(texts, references, **options).items()}


def test_every_dialect_and_rule_is_the_mean_of_its_function() -> None:
    texts = ["Two.", "a dog", "unanswerable", "95"]
    said = [("two", "2", "three"), ("dog",) * 3, ("a cat", "unanswerable", "unanswerable"), ("100", "95 ", "7")]
    found = values(texts, [of(*answers) for answers in said])
    rows = list(zip(texts, said, strict=True))
    for dialect in DIALECTS:
        assert found[f"vqa_accuracy@{dialect}"] == pytest.approx(np.mean([vqa_accuracy(*row, dialect) for row in rows]))
    for name, function in (("exact_match", exact_match), ("anls", anls), ("relaxed_accuracy", relaxed_accuracy)):
        assert found[name] == pytest.approx(np.mean([function(*row) for row in rows])), name
    assert found["declined_in_words"] == 0.25
    assert set(found) == {f"vqa_accuracy@{d}" for d in DIALECTS} | {
        "exact_match",
        "anls",
        "relaxed_accuracy",
        "declined_in_words",
    }
    assert [name for name in HIGHER_IS_BETTER if name in found] == list(found)


def test_leaving_one_out_by_value_takes_the_annotators_confidence() -> None:
    said = ("red", "red", "red", "red")
    sure = Reference("1", said, ("yes", "yes", "maybe", "no"))
    for reference in (of(*said), sure):
        expected = vqa_accuracy("red", said, "no_skip", "value", reference.answer_confidences)
        assert values(["red"], [reference], leave_one_out="value")["vqa_accuracy@no_skip"] == expected


YES_NO = ["Yes.", "yes", "No, none", "no", "maybe", "", "Yes", "There isn't"]
LABELS = ["yes", "no", "no", "yes", "yes", "no", "yes", "no"]


@pytest.mark.parametrize("weights", [None, [2, 0, 1, 3, 1, 0, 1, 2]])
def test_yes_no_is_pope(weights) -> None:
    counts = weights or [1] * len(YES_NO)
    repeated = np.repeat(np.arange(len(YES_NO)), counts)
    expected = pope_scores([YES_NO[i] for i in repeated], [LABELS[i] for i in repeated])
    found = values(YES_NO, [of(label.title()) for label in LABELS], weights)
    assert {name.removeprefix("yes_no_"): value for name, value in found.items() if name.startswith("yes_no")} == (
        pytest.approx(expected._asdict())
    )


def test_yes_no_without_a_yes_is_not_defined_where_it_divides_by_none() -> None:
    found = values(["no", "no"], [of("no"), of("no")])
    assert (found["yes_no_accuracy"], found["yes_no_yes_ratio"]) == (1.0, 0.0)
    assert np.isnan([found["yes_no_precision"], found["yes_no_recall"], found["yes_no_f1"]]).all()


def test_boxes() -> None:
    texts = ["<ref>a kite</ref><box>(0,0),(10,10)</box>", "[0, 0, 10, 4]", "no box", "1 2 3"]
    references = [of("0, 0, 10, 10")] * 4
    boxes = [parse_box(text) or (0.0, 0.0, 0.0, 0.0) for text in texts]
    assert boxes[2:] == [(0.0,) * 4] * 2
    expected = float(box_iou_accuracy(boxes, [(0, 0, 10, 10)] * 4))
    assert values(texts, references)["box_iou_accuracy"] == expected == 0.25
    assert [Accuracy("box_iou")(text, references[0]) for text in texts] == [1.0, 0.0, 0.0, 0.0]


def test_option_letters() -> None:
    found = values(["The answer is (B).", "A dog"], [of("B"), of("A")])
    assert found["option_letter"] == 0.5


@pytest.mark.skipif(importlib.util.find_spec("pycocoevalcap") is None, reason="needs lit-vlr[caption]")
def test_captions() -> None:
    people = {"0": ["a red kite in the sky", "a kite"], "1": ["two dogs on a beach", "dogs"]}
    texts = ["a red kite", "two dogs"]
    expected = cider(dict(zip(people, texts, strict=True)), people)
    references = [of(*said) for said in people.values()]
    assert values(texts, references, captions=True)["cider"] == pytest.approx(expected.mean)
    assert values(texts, references, [3, 1], captions=True)["cider"] == pytest.approx(
        (3 * expected.per_image["0"] + expected.per_image["1"]) / 4
    )
    assert "cider" not in values(texts, references)


@pytest.mark.parametrize(
    ("name", "annotation", "answers", "expected"),
    [
        ("yes_no", {"label": "yes"}, ["Yes", "no", "maybe"], 1 / 3),
        ("anls", {"answers": ["Jon Smith"]}, ["John Smith", "x", "Jon Smith"], (0.9 + 0 + 1) / 3),
        ("relaxed_accuracy", {"answer": "100"}, ["95", "94", "100"], 2 / 3),
        ("box_iou", {"bbox": [0, 0, 2, 2]}, ["0 0 2 1", [0, 0, 2, 2], "?"], 2 / 3),
    ],
)
def test_the_verb_scores_any_benchmark(tmp_path, capsys, name, annotation, answers, expected) -> None:
    """Selective metrics are of the accuracy that is named, and the table, the JSON and the page hold all the others."""
    said, given = tmp_path / "annotations.jsonl", tmp_path / "answers.json"
    rows = [{"question_id": i, "image": f"{i}.jpg", **annotation} for i in range(3)]
    said.write_text("\n".join(map(json.dumps, rows)))
    confidences = (0.9, 0.8, 0.1)
    given.write_text(
        json.dumps(
            [
                {"question_id": i, "answer": answer, "confidence": c}
                for i, (answer, c) in enumerate(zip(answers, confidences, strict=True))
            ]
        )
    )
    page = tmp_path / "page.html"
    args = ["score", "--predictions", str(given), "--annotations", str(said), "--accuracy", name, "--resamples", "20"]
    assert main([*args, "--json", "--html", str(page)]) == 0
    document = json.loads(capsys.readouterr().out)
    metrics = document["files"][0]["metrics"]
    assert document["accuracy"] == name
    assert metrics["accuracy"]["value"] == pytest.approx(expected)
    if name == "yes_no":
        assert metrics["yes_no_accuracy"]["value"] == 0.5
        assert metrics["abstention_rate"]["value"] == metrics["yes_no_abstention_rate"]["value"] == pytest.approx(1 / 3)
    else:
        assert metrics[name if name != "box_iou" else "box_iou_accuracy"]["value"] == pytest.approx(expected)
    assert main(args) == 0
    table = capsys.readouterr().out
    for shown in metrics:
        assert f"\n{shown}  " in table
        assert f">{shown}" in page.read_text()


def test_dialects_of_another_rule_are_refused(tmp_path, capsys) -> None:
    args = ["--predictions", "none.jsonl", "--accuracy", "anls", "--dialect", "official"]
    assert main(["score", *args]) == 2
    assert "Expected no --dialect or --leave-one-out with --accuracy anls" in capsys.readouterr().err
