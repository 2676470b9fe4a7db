"""Predictions on disk: what is written is read back, and nothing else is read."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lit_vlr.predictions import (
    MANIFEST_KEYS,
    PredictionsFormatError,
    PredictionWriter,
    manifest_path,
    read_manifest,
    read_predictions,
)
from lit_vlr.types import Prediction

MANIFEST: dict[str, Any] = {
    "set": "test+linf_pgd",
    "attack": {"name": "linf_pgd", "eps": 8 / 255},
    "dialect": "no_skip",
    "threshold": 0.5,
    "model": "tiny_llava",
    "data": "scenes",
    "seed": 0,
    "versions": {"torch": "2.13.0"},
}
FIRST = Prediction(
    "toy/test/0", "img0", "What is it?", "a kite", 0.75, False, 0.9, ("kite", "a kite"), {"type": "what"}
)


def predictions(n: int) -> list[Prediction]:
    return [replace(FIRST, uid=f"toy/test/{i}", image_id=f"img{i // 2}", confidence=i / n) for i in range(n)]


def write(path: Path, items: list[Prediction], **manifest: Any) -> Path:
    with PredictionWriter(path, MANIFEST | manifest) as writer:
        for item in items:
            writer.write(item)
    return path


def write_lines(path: Path, *changes: dict[str, Any], drop: str | None = None) -> Path:
    """One valid line for each change, changed; no manifest."""
    base = json.loads(json.dumps({**vars(FIRST), "metadata": {}}))
    records = [base | {"uid": f"u{i}"} | change for i, change in enumerate(changes)]
    path.write_text("".join(json.dumps({k: v for k, v in r.items() if k != drop}) + "\n" for r in records))
    return path


def test_round_trip(tmp_path: Path) -> None:
    odd = replace(FIRST, uid="ü\u2028\ud800\n", answer="", accuracy=None, answers=(), metadata={}, confidence=-12.5)
    written = [*predictions(4), replace(FIRST, uid="toy/test/4", abstained=True, declined=True), odd]
    path = write(tmp_path / "deep" / "test+eps0.5.jsonl", written)
    assert read_predictions(path) == written
    assert read_manifest(path) == MANIFEST | {"n": 6}
    assert sorted(p.name for p in path.parent.iterdir()) == ["test+eps0.5.jsonl", "test+eps0.5.manifest.json"]


def test_streams_to_the_part_file_and_appears_at_close(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    writer = PredictionWriter(path, MANIFEST)
    for count, item in enumerate(predictions(3), start=1):
        writer.write(item)
        assert len((tmp_path / "test.jsonl.part").read_text().splitlines()) == count == len(writer)
        assert not path.exists()
        assert not manifest_path(path).exists()
    with pytest.raises(FileNotFoundError, match=r"test\.jsonl\.part is an interrupted run's; run it again"):
        read_predictions(path)
    writer.close()
    writer.close()
    assert len(read_predictions(path)) == 3
    with pytest.raises(ValueError, match="Expected an open writer"):
        writer.write(FIRST)


def fail_half_way(path: Path) -> None:
    with PredictionWriter(path, MANIFEST) as writer:
        writer.write(FIRST)
        raise RuntimeError("out of memory")


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        fail_half_way(tmp_path / "test.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_an_exception_keeps_the_finished_file_of_an_earlier_run(tmp_path: Path) -> None:
    path = write(tmp_path / "test.jsonl", predictions(4))
    with pytest.raises(RuntimeError, match="out of memory"):
        fail_half_way(path)
    assert len(read_predictions(path)) == 4
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failing_close_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    manifest_path(path).mkdir()  # the rename onto it fails
    with pytest.raises(OSError, match="manifest"):
        write(path, predictions(2))
    assert [p.name for p in tmp_path.iterdir()] == [manifest_path(path).name]


@pytest.mark.parametrize("threshold", [None, 0.25, math.inf, -math.inf])
def test_threshold_survives_as_plain_json(tmp_path: Path, threshold: float | None) -> None:
    path = write(tmp_path / "test.jsonl", predictions(1), threshold=threshold)
    assert read_manifest(path)["threshold"] == threshold
    json.loads(manifest_path(path).read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"confidence": math.nan}, "confidence"),
        ({"confidence": math.inf}, "confidence"),
        ({"confidence": True}, "confidence"),
        ({"accuracy": 1.5}, "accuracy"),
        ({"abstained": 1}, "abstained"),
        ({"abstained": True, "declined": 1}, "declined"),
        ({"declined": True}, "declined"),  # given, although it declines
        ({"image_id": 7}, "image_id"),
        ({"uid": " "}, "uid"),
        ({"answers": (1,)}, "answers"),
        ({"metadata": {"x": math.nan}}, "metadata"),
        ({"metadata": {"x": object()}}, "metadata"),
    ],
)
def test_writer_refuses_what_could_not_be_read(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    with pytest.raises(PredictionsFormatError) as caught:
        write(tmp_path / "test.jsonl", [replace(FIRST, **change)])
    assert (caught.value.field, caught.value.line) == (field, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", MANIFEST_KEYS)
def test_manifest_keys_are_required(tmp_path: Path, key: str) -> None:
    manifest = {k: v for k, v in MANIFEST.items() if k != key}
    with pytest.raises(PredictionsFormatError, match=f"'{key}' is missing; use null"):
        PredictionWriter(tmp_path / "test.jsonl", manifest)
    (tmp_path / "test.manifest.json").write_text(json.dumps(manifest | {"n": 1}))
    with pytest.raises(PredictionsFormatError, match=f"'{key}' is missing"):
        read_manifest(tmp_path / "test.jsonl")


@pytest.mark.parametrize(
    "bad", [{"seed": object()}, {"loss": math.nan}, {"threshold": "high"}, {"threshold": math.nan}]
)
def test_manifest_values_are_checked_before_anything_is_written(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(PredictionsFormatError, match=f"field '{next(iter(bad))}'"):
        PredictionWriter(tmp_path / "test.jsonl", MANIFEST | bad)
    assert list(tmp_path.iterdir()) == []


def test_suffix_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"end in \.jsonl"):
        PredictionWriter(tmp_path / "test.json", MANIFEST)
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_predictions(tmp_path / "test.jsonl")
    with pytest.raises(FileNotFoundError, match="Expected a manifest"):
        read_manifest(tmp_path / "test.jsonl")


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"confidence": "0.5"}, "confidence", "a finite number but got '0.5'"),
        ({"confidence": 10**400}, "confidence", "a finite number"),
        ({"confidence": False}, "confidence", "a finite number but got False"),
        ({"accuracy": -0.1}, "accuracy", r"a number in \[0, 1\], or null"),
        ({"abstained": "no"}, "abstained", "true or false"),
        ({"answer": None}, "answer", "a string"),
        ({"answers": "kite"}, "answers", "a list of strings"),
        ({"metadata": None}, "metadata", "an object"),
        ({"uid": "u0"}, "uid", "line 1 has it too; remove one"),
        ({"score": 1}, "score", "move 'score' into `metadata`"),
    ],
)
def test_reader_names_line_uid_and_field(tmp_path: Path, change: dict[str, Any], field: str, message: str) -> None:
    path = write_lines(tmp_path / "test.jsonl", {}, change)
    with pytest.raises(PredictionsFormatError, match=message) as caught:
        read_predictions(path)
    error = caught.value
    assert (error.file, error.line, error.uid, error.field) == (path, 2, change.get("uid", "u1"), field)
    assert str(error) == f"{path}:2, uid {error.uid!r}, field {field!r}: {error.message}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("field", [field for field in vars(FIRST) if field not in ("calibrated", "declined")])
def test_reader_refuses_missing_fields(tmp_path: Path, field: str) -> None:
    path = write_lines(tmp_path / "test.jsonl", {}, drop=field)
    with pytest.raises(PredictionsFormatError, match=f"'{field}' is missing") as caught:
        read_predictions(path)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"uid": "u1", "confid', "expected one JSON object"),
        ("", "expected one JSON object"),
        ("[1]", "expected a JSON object but got list"),
        ('{"confidence": NaN}', "expected finite numbers but got NaN"),
        ('{"confidence": -Infinity}', "expected finite numbers but got -Infinity"),
        ('{"uid": "a", "uid": "b"}', r"every key once but got \['uid'\] twice"),
        ('{"n": ' + "1" * 5000 + "}", "expected one JSON object"),
        ("[" * 200_000, "expected one JSON object"),
    ],
)
def test_reader_refuses_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    path = write_lines(tmp_path / "test.jsonl", {})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(PredictionsFormatError, match=message) as caught:
        read_predictions(path)
    assert caught.value.line == 2


def test_reader_refuses_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_bytes(b'{"uid": "\xff"}\n')
    with pytest.raises(PredictionsFormatError, match="expected UTF-8"):
        read_predictions(path)


def test_a_file_cut_between_lines_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "test.jsonl", predictions(3))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(PredictionsFormatError, match="expected the manifest's 3 predictions but found 2"):
        read_predictions(path)


def test_manifest_count_is_checked(tmp_path: Path) -> None:
    (tmp_path / "test.manifest.json").write_text(json.dumps(MANIFEST | {"n": "3"}))
    with pytest.raises(PredictionsFormatError, match="expected a count but got '3'"):
        read_manifest(tmp_path / "test.manifest.json")


def test_what_a_calibrator_says_is_kept_and_may_be_missing(tmp_path: Path) -> None:
    rows = [replace(FIRST, uid="with", calibrated=0.25), replace(FIRST, uid="without", calibrated=None)]
    path = tmp_path / "test.jsonl"
    with PredictionWriter(path, MANIFEST) as writer:
        for row in rows:
            writer.write(row)
    assert read_predictions(path) == rows
    assert ["calibrated" in json.loads(line) for line in path.read_text().splitlines()] == [True, False]


@pytest.mark.parametrize("value", [1.5, -0.1, "0.5", True])
def test_reader_refuses_what_no_calibrator_says(tmp_path: Path, value: Any) -> None:
    path = write_lines(tmp_path / "test.jsonl", {}, {"calibrated": value})
    with pytest.raises(PredictionsFormatError, match=r"a number in \[0, 1\], or null but got"):
        read_predictions(path)
