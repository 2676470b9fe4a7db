"""`lit-vlr data`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_vlr.cli import main
from lit_vlr.data.checking import contact_sheet
from lit_vlr.data.hosted import TOUCHSTONE
from lit_vlr.data.shards import ShardSet
from lit_vlr.predictions import MANIFEST_KEYS, PredictionWriter
from lit_vlr.types import Prediction, Sample
from tests.datasets.benchmarks._layouts import LAYOUTS, build
from tests.datasets.test_images import png_of_declared_size


@pytest.fixture
def advqa(tmp_path: Path) -> Path:
    """Two questions on two pictures."""
    for sample in build(LAYOUTS["advqa"], tmp_path / "advqa").read():
        Image.new("RGB", (30, 20), "red").save(sample.image)
    return tmp_path / "advqa"


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    status = main(["data", *map(str, args)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_check_prints_counts_and_problems(advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "check", "advqa", "--root", advqa, "--sheet", tmp_path / "sheet.png")
    assert status == 2
    for line in (
        "advqa/val2017",
        "samples              2 of 10,000 expected",
        "pictures             2, 1.00 questions each",
        "with labels          2",
        "answers a sample     10 (2)",
        "most common answers  'man' (10), 'ride' (8), 'race' (1), 'motocross' (1)",
        "pictures loaded      2 of 2 tried",
        "width, height        30 to 30, 20 to 20",
        "problem: expected 10,000 samples but got 2; is the file whole?",
    ):
        assert line in out
    assert "Expected a set without problems but found 1" in err
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (6 * 192, 192 + 46))
        assert sheet.convert("RGB").getpixel((10, 10)) == (254, 0, 0)  # the first picture, as JPEG has it


def test_check_without_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for sample in build(LAYOUTS["own_lines"], tmp_path).read():
        Image.new("RGB", (3, 3)).save(sample.image)
    (tmp_path / "a.png").write_bytes((tmp_path / "images" / "a.png").read_bytes())
    status, out, _ = run(capsys, "check", "own", "--root", tmp_path)
    assert status == 0
    assert "metadata             level" in out
    assert "pictures             1, 2.00 questions each" in out


def test_check_names_broken_pictures(advqa: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = sorted((advqa / "val2014").iterdir())
    first.write_bytes(b"<html>")
    second.unlink()
    status, out, err = run(capsys, "check", "advqa", "--root", advqa)
    assert status == 2
    assert f"{first} (advqa/val2017/2971475) is none" in out
    assert f"{second} (advqa/val2017/3397615) but there is no such file" in out
    assert "found 3;" in err
    _, out, _ = run(capsys, "check", "advqa", "--root", advqa, "--pictures", 1)
    assert "pictures loaded      0 of 1 tried" in out


def test_check_names_a_truncated_picture_and_a_bomb(
    advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = sorted((advqa / "val2014").iterdir())
    noise = Image.effect_noise((300, 300), 90)
    noise.convert("RGB").save(first, "JPEG")
    first.write_bytes(first.read_bytes()[:9_000])
    second.write_bytes(png_of_declared_size(7_100, 7_100))
    status, out, err = run(capsys, "check", "advqa", "--root", advqa, "--sheet", tmp_path / "sheet.png")
    assert status == 2
    assert f"problem: Expected a whole picture but {first} (advqa/val2017/2971475) cannot be read: " in out
    assert f"at most 50 megapixels but {second} (advqa/val2017/3397615) has (7100, 7100); shrink it" in out
    assert "pictures loaded      0 of 2 tried" in out
    assert "found 3;" in err
    assert (tmp_path / "sheet.png").exists()


def test_check_follows_no_link_out_of_the_folder(
    advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = min((advqa / "val2014").iterdir())
    outside = first.rename(tmp_path / "outside.jpg").resolve()
    first.symlink_to(outside)
    status, out, err = run(capsys, "check", "advqa", "--root", advqa)
    assert (status, out) == (2, "")
    assert f"entry 0 (advqa/val2017/2971475), `image_id`: Expected a picture inside {first.parent} but" in err
    assert f"leads to {outside}" in err


def test_check_says_what_is_wrong_with_a_file(advqa: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (advqa / "v1_mscoco_val2017_advqa_annotations.json").write_text("{}")
    status, _, err = run(capsys, "check", "advqa", "--root", advqa)
    assert status == 2
    assert "annotations.json, `annotations`: Expected this key" in err
    assert err.count("\n") == 1


def test_the_sheet_shows_what_cannot_be_loaded(advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (advqa / "val2014").iterdir():
        path.unlink()
    run(capsys, "check", "advqa", "--root", advqa, "--sheet", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getpixel((150, 180)) == (0xB0, 0x30, 0x30)


def test_the_sheet_shows_the_answer_to_a_long_question_and_the_text_of_an_option() -> None:
    picture = np.zeros((9, 9, 3), np.uint8)

    def sheet(answer: str, choices: tuple[str, ...] = ()) -> bytes:
        return contact_sheet([Sample("u", picture, "a", "Why? " * 99, (answer,), choices=choices)]).tobytes()

    assert sheet("so") != sheet("no")
    assert sheet("A", ("so", "no")) == sheet("A: so")


def test_download_explains_and_verifies(advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "download", "advqa", "--root", advqa)
    assert status == 0
    assert "advqa (CC BY-NC 4.0)" in out
    assert "https://adversarialvqa.org" in out
    assert f"there    {advqa / 'val2014'}  (images)" in out
    assert "no --checksums given: no file was verified" in out
    name = "v1_mscoco_val2017_advqa_annotations.json"
    digest = hashlib.sha256((advqa / name).read_bytes()).hexdigest()
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{digest}  {name}\n")
    status, out, _ = run(capsys, "download", "advqa", "--root", advqa, "--checksums", sums)
    assert status == 0
    assert f"OK  {name}" in out
    assert "no file was verified" not in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0" * 64 + "  v1_mscoco_val2017_advqa_annotations.json", "annotations.json has .*…, not 000000000000…; fetch"),
        ("0" * 64 + "  none.json", "none.json is missing; fetch them again"),
        ("0" * 64 + "  ../a.json", "Expected a path inside"),
        ("0" * 63 + "  a.json", "entry 0: Expected a SHA-256 sum, two spaces and a path"),
        ("", "Expected lines of SHA-256 and path but the file is empty"),
    ],
)
def test_wrong_files_are_never_passed_over(
    advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    (tmp_path / "sums").write_text(line)
    status, _, err = run(capsys, "download", "advqa", "--root", advqa, "--checksums", tmp_path / "sums")
    assert status == 2

    assert re.search(message, err)


@pytest.mark.parametrize("name", sorted({layout.split("_")[0] for layout in LAYOUTS} - {"mm", "own"}))
def test_every_benchmark_is_explained(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "download", name, "--root", tmp_path)
    assert status == 0
    assert "https://" in out or "http://" in out
    assert "missing" in out


def answers(path: Path, rows: list[Prediction]) -> Path:
    with PredictionWriter(path, dict.fromkeys(MANIFEST_KEYS)) as writer:
        for row in rows:
            writer.write(row)
    return path


def said(uid: str, answer: str = "red", confidence: float = 0.5, **metadata: Any) -> Prediction:
    return Prediction(uid, "a.jpg", "What?", answer, confidence, True, None, metadata=metadata)


def test_export_for_vqav2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = answers(tmp_path / "a.jsonl", [said("vqav2/test2015/12"), said("vqav2/test2015/7", "two")])
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps({"questions": [{"question_id": 7}, {"question_id": 12}]}))
    args = ("export", "--predictions", file, "--to", "vqav2", "--questions", questions, "--out", tmp_path / "out.json")
    status, out, _ = run(capsys, *args)
    assert (status, out) == (0, f"2 answers: {tmp_path / 'out.json'}\n")
    expected = [{"question_id": 12, "answer": "red"}, {"question_id": 7, "answer": "two"}]
    assert json.loads((tmp_path / "out.json").read_text()) == expected
    status, _, err = run(capsys, *args)
    assert status == 2
    assert "it exists" in err


@pytest.mark.parametrize(
    ("asked", "message"),
    [([7], "0 missing and 1 ('12') too many"), ([7, 12, 1, 2], "2 ('1', '2') missing and 0 too many")],
)
def test_answers_to_other_questions_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[int], message: str
) -> None:
    file = answers(tmp_path / "a.jsonl", [said("vqav2/test2015/12"), said("vqav2/test2015/7")])
    (tmp_path / "q.json").write_text(json.dumps({"questions": [{"question_id": key} for key in asked]}))
    args = ("--predictions", file, "--to", "vqav2", "--questions", tmp_path / "q.json", "--out", tmp_path / "o.json")
    status, _, err = run(capsys, "export", *args)
    assert status == 2
    assert f"{file}, `uid`: Expected `predictions` for exactly the ids of `questions` but got {message}" in err
    assert not (tmp_path / "o.json").exists()


def test_export_for_vizwiz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = answers(tmp_path / "a.jsonl", [said("vizwiz/test/0")])
    assert run(capsys, "export", "--predictions", file, "--to", "vizwiz", "--out", tmp_path / "o.json")[0] == 0
    assert json.loads((tmp_path / "o.json").read_text()) == [{"image": "a.jpg", "answer": "red"}]


def test_export_for_grit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = answers(tmp_path / "a.jsonl", [said("grit/ablation/vqa_1")])
    boxes = answers(tmp_path / "b.jsonl", [said("grit/ablation/r/1", "(0,0),(999,500)", width=100, height=50)])
    folder = tmp_path / "ablation"
    to = ("--to", "grit", "--out", folder, "--params", 7000)
    assert run(capsys, "export", "--predictions", words, *to)[0] == 0
    assert run(capsys, "export", "--predictions", boxes, *to, "--task", "refexp")[0] == 0
    assert {path.name: json.loads(path.read_text()) for path in folder.iterdir()} == {
        "params.json": {"params_in_millions": 7000},
        "vqa.json": [{"example_id": "vqa_1", "confidence": 0.5, "words": "red"}],
        "refexp.json": [{"example_id": "r/1", "confidence": 0.5, "bboxes": [[0, 0, 100, 25]]}],
    }


def test_export_for_touchstone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "touchstone.tsv"
    with table.open("w", newline="") as out:
        writer = csv.writer(out, delimiter="\t")
        writer.writerow(["index", "image", *TOUCHSTONE])
        for index in range(2):
            writer.writerow([index, "A" * 300_000, "Write a poem.", "A\tred kite", "A poem", "story", "poem"])
    file = answers(tmp_path / "a.jsonl", [said("touchstone/test/1", "Roses\nare red"), said("touchstone/test/0")])
    args = ("export", "--predictions", file, "--to", "touchstone", "--out", tmp_path / "o.tsv")
    assert run(capsys, *args, "--questions", table)[0] == 0
    with (tmp_path / "o.tsv").open(newline="") as done:
        rows = list(csv.DictReader(done, delimiter="\t"))
    assert [row["response"] for row in rows] == ["red", "Roses\nare red"]
    assert list(rows[0]) == ["index", *TOUCHSTONE, "response"]
    assert rows[0]["human_annotation"] == "A\tred kite"
    assert csv.field_size_limit() == 131072  # as it was


@pytest.mark.parametrize(
    ("prediction", "to", "more", "message"),
    [
        (said("grit/ablation/1", confidence=-2.0), "grit", ("--params", "1"), "Expected a confidence in [0, 1]"),
        (said("grit/ablation/1"), "grit", (), "Expected --params"),
        (said("grit/ablation/1"), "grit", ("--params", "1", "--task", "normal"), "Expected the task vqa"),
        (said("grit/ablation/1"), "grit", ("--params", "1", "--task", "refexp"), "Expected `width` and `height`"),
        (said("aokvqa/test/2a"), "vqav2", (), "Expected a number at the end of the uid"),
        (said("a/b/1"), "touchstone", (), "Expected --questions, TouchStone's own table"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prediction: Prediction, to: str, more: Any, message: str
) -> None:
    file = answers(tmp_path / "a.jsonl", [prediction])
    status, _, err = run(capsys, "export", "--predictions", file, "--to", to, "--out", tmp_path / "out", *more)
    assert status == 2
    assert message in err


def test_shard(advqa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "shard", "advqa", "--root", advqa, "--out", tmp_path / "set", "--size", 1)
    assert (status, out) == (0, f"2 samples: {tmp_path / 'set'}\n")
    assert [s.uid for s in ShardSet(tmp_path / "set").read()] == list(LAYOUTS["advqa"].uids)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "VERB"),
        (("check", "imagenet", "--root", "."), "invalid choice: 'imagenet'"),
        (("check", "okvqa"), "--root"),
        (("check", "okvqa", "--root", ".", "--split", "test"), "Expected --split to be one of train2014, val2014"),
    ],
)
def test_malformed_arguments_are_one_line(capsys: pytest.CaptureFixture[str], args: Any, message: str) -> None:
    status, _, err = run(capsys, *args)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
