"""Answers of lit_vlr and of earlier evaluations are read alike, and nothing wrong in them goes unnoticed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lit_vlr.data.errors import DataFormatError
from lit_vlr.errors import UserError
from lit_vlr.predictions import PredictionsFormatError
from lit_vlr.scoring.accuracy import Accuracy
from lit_vlr.scoring.annotations import Reference
from lit_vlr.scoring.answers import read_answers
from tests._answers import annotations, predictions, write

SAID = {4: ["red"] * 3 + ["blue"] * 7, 5: ["two"] * 10, 9: ["kite"] * 2 + ["plane"] * 8}
ROWS = [
    {"question_id": 5, "answer": "Two.", "confidence": 0.9},
    {"question_id": 4, "answer": "red", "confidence": -3},
    {"question_id": "9", "answer": "", "confidence": 0.25, "image": "ignored"},
]


def files(folder: Path, rows: object, kind: str) -> tuple[Path, Path]:
    path = folder / "answers.json"
    lines = "".join(f"{json.dumps(row)}\n" for row in rows) if isinstance(rows, list) else ""
    path.write_text(json.dumps(rows, indent=1) if kind == "list" else lines)
    return path, annotations(folder / "annotations.json", SAID)


@pytest.mark.parametrize("kind", ["list", "lines"])
def test_earlier_evaluations_are_read(tmp_path, kind) -> None:
    found = read_answers(*files(tmp_path, ROWS, kind)).predictions
    assert [(p.uid, p.image_id, p.answer) for p in found] == [("5", "2", "Two."), ("4", "2", "red"), ("9", "4", "")]
    assert [p.confidence for p in found] == [0.9, -3.0, 0.25]
    assert [p.accuracy for p in found] == pytest.approx([1.0, 0.9, 0.0])
    assert not any(p.abstained for p in found)


def test_confidences_may_be_infinite(tmp_path) -> None:
    rows = [row | {"confidence": c} for row, c in zip(ROWS, (math.inf, -math.inf, 0.0), strict=True)]
    assert [p.confidence for p in read_answers(*files(tmp_path, rows, "list")).predictions] == [
        math.inf,
        -math.inf,
        0.0,
    ]


@pytest.mark.parametrize("kind", ["list", "lines"])
def test_official_results_have_no_confidence(tmp_path, kind) -> None:
    rows = [{key: value for key, value in row.items() if key != "confidence"} for row in ROWS]
    path, said = files(tmp_path, rows, kind)
    found, references = read_answers(path, said, need_confidence=False)
    assert [said.answers for said in references] == [tuple(SAID[key]) for key in (5, 4, 9)]
    assert [p.accuracy for p in found] == pytest.approx([1.0, 0.9, 0.0])
    assert all(math.isnan(p.confidence) for p in found)
    assert found[0].metadata == {"question_type": "what is", "answer_type": "other"}
    with pytest.raises((DataFormatError, PredictionsFormatError), match="confidence"):
        read_answers(path, said)
    half, said = files(tmp_path, [rows[0], ROWS[1], rows[2]], kind)
    with pytest.raises((DataFormatError, PredictionsFormatError), match="expected none, as in the rows before"):
        read_answers(half, said, need_confidence=False)


def test_leave_one_out_by_value_is_the_official_script_without_answer_ids(tmp_path) -> None:
    """VizWiz has no answer_id: rows that are equal vanish together, which costs the majority its points."""
    path, _ = files(tmp_path, [{"question_id": 0, "answer": "red", "confidence": 1.0}], "list")
    said = annotations(tmp_path / "said.json", {0: ["red"] * 10})
    assert read_answers(path, said, Accuracy(leave_one_out="index")).predictions[0].accuracy == 1.0
    assert read_answers(path, said, Accuracy(leave_one_out="value")).predictions[0].accuracy == 0.0


def test_the_dialect_is_used(tmp_path) -> None:
    path, said = files(tmp_path, ROWS, "list")
    # Unanimous annotators: the official script then normalises nothing, and "Two." is not "two".
    assert read_answers(path, said, Accuracy(dialect="official")).predictions[0].accuracy == 0.0


def test_own_predictions_are_read_as_they_are(tmp_path) -> None:
    rows = predictions(5)
    found, references = read_answers(write(tmp_path / "test.jsonl", rows))
    assert found == rows
    assert references == [Reference(row.image_id, row.answers) for row in rows]


def test_own_predictions_are_scored_again_where_a_rule_is_named(tmp_path) -> None:
    rows = [replace(row, accuracy=0.25) for row in predictions(5)]
    path = write(tmp_path / "test.jsonl", rows)
    assert [p.accuracy for p in read_answers(path, accuracy=Accuracy("exact_match")).predictions] == [0.0] * 5
    assert [p.accuracy for p in read_answers(path, accuracy=Accuracy()).predictions] == [1.0] * 5
    unlabelled = write(tmp_path / "unlabelled.jsonl", [replace(rows[0], answers=())])
    assert read_answers(unlabelled).references is None
    with pytest.raises(
        PredictionsFormatError, match=r"jsonl:1, .*'answers': expected what is right but got no answers"
    ):
        read_answers(unlabelled, accuracy=Accuracy())


def test_an_answer_that_is_neither_yes_nor_no_is_withheld(tmp_path) -> None:
    """It declines before it is read: silence and "maybe" are no yes."""
    rows = [{"question_id": i, "answer": text, "confidence": 0.5} for i, text in enumerate(("Yes.", "no", "", "maybe"))]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    said = tmp_path / "coco_pope_random.json"
    said.write_text(
        "".join(f'{{"question_id": {i}, "image": "a.jpg", "text": "Is it?", "label": "yes"}}\n' for i in range(4))
    )
    found = read_answers(path, said, Accuracy("yes_no")).predictions
    assert [(p.accuracy, p.abstained, p.confidence) for p in found] == [
        (1.0, False, 0.5),
        (0.0, False, 0.5),
        (0.0, True, -math.inf),
        (0.0, True, -math.inf),
    ]


def test_a_rule_that_the_references_do_not_allow_names_the_question(tmp_path) -> None:
    path, said = files(tmp_path, ROWS, "list")
    with pytest.raises(UserError, match=r"annotations\.json, question 5: Expected yes or no .*for --accuracy yes_no"):
        read_answers(path, said, Accuracy("yes_no"))
    with pytest.raises(UserError, match=r"question 5: Expected a box of four numbers .* 'two'"):
        read_answers(path, said, Accuracy("box_iou"))


@pytest.mark.parametrize("kind", ["list", "lines"])
@pytest.mark.parametrize(
    ("row", "change", "message"),
    [
        (1, {"question_id": 5}, "expected each once but 5 is already (entry 0|line 1); remove one"),
        (1, {"question_id": 77}, "expected a question of .*annotations.json but 77 is none"),
        (1, {"question_id": -4}, "whole number of at least 0 but got -4"),
        (1, {"question_id": 4.5}, "whole number of at least 0 but got 4.5"),
        (1, {"question_id": True}, "whole number of at least 0 but got True"),
        (2, {"confidence": float("nan")}, "expected a number but got nan"),
        (2, {"confidence": "0.5"}, "expected a number but got '0.5'"),
        (2, {"confidence": 10**400}, "expected a number but got 1000"),
        (0, {"answer": None}, "expected text but got None"),
        (0, {"answer": ["two"]}, r"expected text but got \['two'\]"),
    ],
)
def test_wrong_rows_are_named(tmp_path, kind, row, change, message) -> None:
    rows = [dict(r) for r in ROWS]
    rows[row] |= change
    path, said = files(tmp_path, rows, kind)
    with pytest.raises((DataFormatError, PredictionsFormatError), match=message) as caught:
        read_answers(path, said)
    where = f"{path}, entry {row} " if kind == "list" else f"{path}:{row + 1}, "
    assert str(caught.value).startswith(where)
    (field,) = change
    assert f"`{field}`" in str(caught.value) or f"field {field!r}" in str(caught.value)


@pytest.mark.parametrize("field", ["question_id", "answer", "confidence"])
def test_missing_keys_are_named(tmp_path, field) -> None:
    rows = [dict(r) for r in ROWS]
    del rows[1][field]
    path, said = files(tmp_path, rows, "list")
    with pytest.raises(DataFormatError, match=rf"entry 1.*`{field}`: expected this key but there are only"):
        read_answers(path, said)


def test_unanswered_questions_are_named(tmp_path) -> None:
    path, said = files(tmp_path, ROWS[:1], "list")
    with pytest.raises(PredictionsFormatError, match=r"each of the 3 questions of .* but 2 have none \(4, 9\)"):
        read_answers(path, said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"question_id": 5,', "cannot be parsed"),
        ('[{"question_id": 5}, 3]', "entry 0.*`answer`"),
        ("[3]", "entry 0: expected an object but got 3"),
        ('{"question_id": 5, "answer": "a", "confidence": 1}\n{"ques', ":2: expected one JSON object"),
        ('{"question_id": 5, "answer": "a", "confidence": 1}\n\n', ":2: expected one JSON object"),
        ("[]", "each of the 3 questions .* but 3 have none"),
    ],
)
def test_broken_files_are_named(tmp_path, content, message) -> None:
    path, said = files(tmp_path, [], "list")
    path.write_text(content)
    with pytest.raises((DataFormatError, PredictionsFormatError), match=message) as caught:
        read_answers(path, said)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.append(rows[0]), "`question_id`: Expected each once but 4 is there twice"),
        (lambda rows: rows[1].pop("answers"), "entry 1 .*`answers`: Expected this key"),
        (lambda rows: rows[1].update(answers=[{"answer": "two"}]), "question 5: .* at least two annotators but got 1"),
        (lambda rows: rows[1].update(answers=[]), r"entry 1 .*`answers`: Expected a list with texts but got \[\]"),
        (lambda rows: rows[1]["answers"][3].update(answer=2), "entry 1 .*`answers`: Expected a text of each annotator"),
        (lambda rows: rows[1].pop("image_id"), "`image_id`"),
        (lambda rows: rows.clear(), "`annotations`: Expected a list with entries"),
    ],
)
def test_wrong_annotations_are_named(tmp_path, change, message) -> None:
    path, said = files(tmp_path, ROWS, "list")
    document = json.loads(said.read_text())
    change(document["annotations"])
    said.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message) as caught:
        read_answers(path, said)
    assert str(caught.value).startswith(str(said))


def test_annotations_are_asked_for(tmp_path) -> None:
    path, _ = files(tmp_path, ROWS, "list")
    with pytest.raises(UserError, match="Expected --annotations"):
        read_answers(path)


def test_unlabelled_predictions_are_named(tmp_path) -> None:
    rows = predictions(3)
    path = write(tmp_path / "test.jsonl", [rows[0], replace(rows[1], accuracy=None), rows[2]])
    with pytest.raises(PredictionsFormatError, match=r"test.jsonl:2, uid 'toy/cal/1', field 'accuracy'.* got null"):
        read_answers(path)


def test_empty_and_missing_files_are_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"test\.jsonl but it is empty"):
        read_answers(write(tmp_path / "test.jsonl", []))
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        read_answers(tmp_path / "none.jsonl")
