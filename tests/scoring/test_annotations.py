"""Annotations of several benchmarks come out as one kind of reference."""

from __future__ import annotations

import json

import pytest

from lit_vlr.data.errors import DataFormatError
from lit_vlr.scoring.annotations import Reference, read_annotations


def written(folder, content: object):
    path = folder / "annotations.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (  # TextVQA
            {"data": [{"question_id": 34602, "image_id": "0054", "answers": ["nous", "nous les", "n"]}]},
            {"34602": Reference("0054", ("nous", "nous les", "n"))},
        ),
        (  # DocVQA
            {"data": [{"questionId": 49153, "image": "documents/p.png", "answers": ["0.28"], "docId": 14465}]},
            {"49153": Reference("documents/p.png", ("0.28",))},
        ),
        (  # POPE: JSON lines, here a single one
            '{"question_id": 1, "image": "COCO_val2014_000000310196.jpg", "text": "Is there a cup?", "label": "yes"}\n',
            {"1": Reference("COCO_val2014_000000310196.jpg", ("yes",))},
        ),
        (  # RefCOCO
            [{"question_id": "0", "image": "a.jpg", "bbox": [93.5, 83, 598.56, 373.69]}],
            {"0": Reference("a.jpg", ("93.5, 83, 598.56, 373.69",))},
        ),
        (  # one's own
            '{"question_id": "ab", "image_id": 3, "answer": "kite"}\n{"question_id": 7, "image_id": 3, "answer": "no"}',
            {"ab": Reference("3", ("kite",)), "7": Reference("3", ("no",))},
        ),
    ],
)
def test_formats(tmp_path, content, expected) -> None:
    assert read_annotations(written(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be parsed"),
        ('{"question_id": 1', "cannot be parsed"),
        ('{"question_id": 1, "image": "a", "label": "yes"}\n{"ques', "entry 1: Expected JSON but it cannot be parsed"),
        ('{"question_id": 1, "image": "a", "label": "yes"}\n3', "entry 1: Expected an object but got 3"),
        ("[]", "`the list`: Expected a list with entries"),
        ({"questions": []}, "`annotations`: Expected this key"),
        ([{"question_id": 1, "image": "a"}], r"entry 0 \(1\), `answers`: Expected this key"),
        ([{"question_id": 1, "image": "a", "answers": ["x", 3]}], r"`answers`: Expected a list with texts"),
        ([{"question_id": 1, "image": "a", "answer": " "}], "`answer`: Expected text but got ' '"),
        ([{"question_id": 1, "image": "a", "bbox": [1, 2, 3]}], "`bbox`: Expected four numbers"),
        ([{"question_id": 1, "image": "a", "bbox": [1, 2, True, 3]}], "`bbox`: Expected four numbers"),
        ([{"question_id": 1, "answer": "x"}], "`image_id`: Expected this key"),
        ([{"question_id": -1, "image": "a", "answer": "x"}], "`question_id`: Expected a whole number"),
        ([{"image": "a", "answer": "x"}], "`question_id`: Expected this key"),
        (
            [{"question_id": q, "image": "a", "answer": "x"} for q in (7, "007")],
            "Expected each once but 7 is there twice",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, message) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataFormatError, match=message) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(DataFormatError, match=r"none\.json: .*No such file"):
        read_annotations(tmp_path / "none.json")
