"""OK-VQA files: what is written is read back equal, and whatever is wrong with a file is said precisely."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.images import load_image
from lit_vlr.data.okvqa import COCO_PATTERN, OKVQAFiles, read_okvqa, write_okvqa
from lit_vlr.data.scenes import export_scenes, make_scenes
from lit_vlr.errors import ImageError, UserError
from lit_vlr.types import Sample


@pytest.fixture
def official(tmp_path: Path) -> OKVQAFiles:
    """Two questions on one picture and one on another, written by hand after the official files."""
    head = {"info": {}, "license": {}, "data_type": "mscoco", "data_subtype": "val2014"}
    asked = [
        (2971475, 297147, "What sport can you use this for?"),
        (2971476, 297147, "Why?"),
        (3396761, 339676, "Who?"),
    ]
    questions = [{"image_id": image, "question": text, "question_id": key} for key, image, text in asked]
    annotations = [
        {
            "image_id": image,
            "question_id": key,
            "question_type": "four",
            "answer_type": "other",
            "answers": [
                {"answer_id": i, "raw_answer": f"riding {i}", "answer": f"ride {i}", "answer_confidence": "yes"}
                for i in range(1, 11)
            ],
            "confidence": 3,
        }
        for key, image, _ in reversed(asked)  # nothing says that both files have one order
    ]
    types = {"four": "Sports and Recreation", "other": "Other"}
    files = OKVQAFiles(tmp_path / "questions.json", tmp_path / "annotations.json", tmp_path / "val2014", "val2014")
    files.questions.write_text(json.dumps({**head, "task_type": "Open-Ended", "questions": questions}))
    files.annotations.write_text(json.dumps({**head, "question_types": types, "annotations": annotations}))
    files.images.mkdir()
    return files


def test_official_files(official: OKVQAFiles) -> None:
    first, second, third = official.read()
    assert first.uid == "okvqa/val2014/2971475"
    assert first.image == official.images.resolve() / "COCO_val2014_000000297147.jpg" == second.image
    assert [s.image_id for s in (first, second, third)] == ["297147", "297147", "339676"]
    assert first.question == "What sport can you use this for?"
    assert first.answers == tuple(f"ride {i}" for i in range(1, 11))
    assert first.metadata == {"question_type": "Sports and Recreation"}
    assert official.read(answer_field="raw_answer")[0].answers == tuple(f"riding {i}" for i in range(1, 11))
    assert official.read(dataset="mine")[2].uid == "mine/val2014/3396761"


def test_without_annotations_there_are_no_answers(official: OKVQAFiles) -> None:
    assert [s.answers for s in replace(official, annotations=None).read()] == [(), (), ()]


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def pop(*keys: Any) -> Callable[[dict[str, Any]], object]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


Q, A = "questions", "annotations"
MALFORMED = {
    "no questions": (
        Q,
        pop("questions"),
        r"questions.json, `questions`: Expected this key but there are only \['info'",
    ),
    "no annotations": (A, pop("annotations"), r"annotations.json, `annotations`: Expected this key"),
    "no question types": (A, pop("question_types"), "`question_types`: Expected this key .* is it the right file"),
    "an empty list": (Q, put(Q, value=[]), r"`questions`: Expected a list with entries but got \[\]"),
    "no list": (Q, put(Q, value={"a": 1}), "`questions`: Expected a list with entries but got {'a': 1}"),
    "no object": (Q, put(Q, 1, value="who"), "`questions`: Expected objects but entry 1 is 'who'"),
    "types in a list": (A, put("question_types", value=["four"]), "`question_types`: Expected an object"),
    "question twice": (
        Q,
        put(Q, 2, "question_id", value=2971475),
        "entry 2 .*, `question_id`: Expected each once but 2971475 is already entry 0; remove one",
    ),
    "annotation twice": (A, put(A, 2, "question_id", value=3396761), "entry 2 .*, `question_id`: Expected each once"),
    "id as text": (Q, put(Q, 0, "question_id", value="1"), "entry 0, `question_id`: .* whole number .* but got '1'"),
    "id is true": (Q, put(Q, 0, "question_id", value=True), "entry 0, `question_id`: .* whole number .* but got True"),
    "id is NaN": (Q, put(Q, 0, "question_id", value=float("nan")), "entry 0: Expected finite numbers but got NaN"),
    "negative image": (Q, put(Q, 0, "image_id", value=-1), r"\(okvqa/val2014/2971475\), `image_id`: .* but got -1"),
    "other picture": (
        Q,
        put(Q, 0, "image_id", value=7),
        r"entry 0 \(okvqa/val2014/2971475\), `image_id`: Expected 297147 as in .*annotations.json but got 7",
    ),
    "blank question": (Q, put(Q, 1, "question", value=" \n"), r"entry 1 .*, `question`: Expected text but got ' \\n'"),
    "no question": (Q, pop(Q, 1, "question"), r"entry 1 \(okvqa/val2014/2971476\), `question`: Expected this key"),
    "question is a list": (Q, put(Q, 1, "question", value=["a"] * 99), r"`question`: Expected text but got \['a'.*…;"),
    "no answers": (A, put(A, 0, "answers", value=[]), "`answers`: Expected a list with entries"),
    "answers of strings": (
        A,
        put(A, 0, "answers", value=["ride"]),
        "`answers`: Expected objects but entry 0 is 'ride'",
    ),
    "blank answer": (
        A,
        put(A, 0, "answers", 3, "answer", value=""),
        r"entry 0 \(okvqa/val2014/3396761\), `answers\[3\].answer`: Expected text but got ''",
    ),
    "numeric answer": (
        A,
        put(A, 0, "answers", 3, "answer", value=3),
        r"`answers\[3\].answer`: Expected text but got 3",
    ),
    "absent answer": (A, pop(A, 0, "answers", 9, "answer"), r"`answers\[9\].answer`: Expected text but got None"),
    "unknown type": (
        A,
        put(A, 1, "question_type", value="five"),
        r"`question_type`: Expected one of `question_types` \(four, other\) but got 'five'",
    ),
    "metadata in a list": (A, put(A, 1, "metadata", value=[]), r"`metadata`: Expected an object but got \[\]"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused(official: OKVQAFiles, case: str) -> None:
    which, change, message = MALFORMED[case]
    file = getattr(official, which)
    edit(file, change)
    with pytest.raises(DataFormatError, match=message) as caught:
        official.read()
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_mismatch_of_ids_counts_and_names_five(official: OKVQAFiles) -> None:
    extra = [{"question_id": i, "image_id": 1, "question": "?"} for i in range(1, 8)]
    edit(official.questions, lambda document: document["questions"].extend(extra))
    edit(official.questions, lambda document: document["questions"].pop(0))
    expected = (
        r"`question_id`: Expected one annotation a question but found 7 questions without annotation "
        r"\(1, 2, 3, 4, 5, …\) and 1 annotations without question \(2971475\); take both files of one split"
    )
    with pytest.raises(DataFormatError, match=expected):
        official.read()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expected JSON but it cannot be parsed"),
        (b"<html>404</html>", "Expected JSON but it cannot be parsed .* download or unpack it again"),
        (b'{"questions": [', "Expected JSON but it cannot be parsed"),
        (b"PK\x03\x04\xff\xfe\x00", "Expected JSON but it cannot be parsed"),
        (b"[" * 100_000, "Expected JSON but it cannot be parsed"),
        (b"[1, 2]", r"Expected an object at the top level but got \[1, 2\]"),
    ],
)
def test_what_is_not_json_is_refused(official: OKVQAFiles, content: bytes, message: str) -> None:
    official.questions.write_bytes(content)
    with pytest.raises(DataFormatError, match=message):
        official.read()


def test_a_missing_file_is_refused(official: OKVQAFiles) -> None:
    official.annotations.unlink()
    with pytest.raises(DataFormatError, match=r"annotations.json: Expected a JSON file but it cannot be read"):
        official.read()


def test_a_missing_folder_of_pictures_is_refused(official: OKVQAFiles) -> None:
    with pytest.raises(UserError, match=r"Expected a folder of pictures at .*none but there is none"):
        replace(official, images=official.images / "none").read()


@pytest.mark.parametrize("pattern", ["../{image_id}.jpg", "{image_id}/../../a.jpg", "/etc/{image_id}.jpg"])
def test_no_picture_is_taken_from_outside_the_folder(official: OKVQAFiles, pattern: str) -> None:
    with pytest.raises(DataFormatError, match=r"`image_id`: Expected a picture inside .*val2014 but .* leads to /"):
        replace(official, image_pattern=pattern).read()


def test_a_link_out_of_the_folder_is_refused(official: OKVQAFiles) -> None:
    (official.images / COCO_PATTERN.format(split="val2014", image_id=339676)).symlink_to(official.questions)
    with pytest.raises(DataFormatError, match=r"okvqa/val2014/3396761.* Expected a picture inside"):
        official.read()


def test_a_link_to_the_folder_is_followed(official: OKVQAFiles, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(official.images)
    assert replace(official, images=tmp_path / "link").read()[0].image == official.read()[0].image


@pytest.mark.parametrize("pattern", ["{picture}.jpg", "{0}.jpg", "{image_id:q}.jpg", "{", "{split.none}"])
def test_malformed_patterns_are_refused(official: OKVQAFiles, pattern: str) -> None:
    with pytest.raises(UserError, match="Expected `image_pattern` as a format of `split` and `image_id`"):
        replace(official, image_pattern=pattern).read()


def test_an_unknown_answer_field_is_refused(official: OKVQAFiles) -> None:
    with pytest.raises(UserError, match=r"Expected `answer_field` to be one of .* but got 'stem'"):
        official.read(answer_field="stem")


def test_another_number_of_answers_than_ten_is_a_warning(official: OKVQAFiles) -> None:
    edit(official.annotations, pop(A, 1, "answers", 0))
    with pytest.warns(UserWarning, match=r"1 of 3 have another number: okvqa/val2014/2971476 \(9\)"):
        assert len(official.read()[1].answers) == 9


def test_ten_answers_are_no_warning(official: OKVQAFiles) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        official.read()


def test_a_format_error_survives_pickling() -> None:
    error = DataFormatError(Path("q.json"), 3, "okvqa/val2014/1", "question", "Expected\ntext")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "q.json, entry 3 (okvqa/val2014/1), `question`: Expected text"
    assert (again.file, again.index, again.uid, again.field) == (Path("q.json"), 3, "okvqa/val2014/1", "question")


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_scenes_come_back_equal(tmp_path: Path) -> None:
    samples = make_scenes("test", 12)
    read = write_okvqa(samples, tmp_path / "new" / "folder", "test").read(dataset="scenes")
    for sample, again in zip(samples, read, strict=True):
        assert replace(again, image=Path()).__dict__ == {**sample.__dict__, "image": Path()}
        assert torch.equal(load_image(again.image), load_image(sample.image))
        assert np.array_equal(np.asarray(Image.open(again.image)), sample.image)


def test_reading_and_writing_again_writes_the_same(tmp_path: Path, official: OKVQAFiles) -> None:
    for sample in official.read():
        Image.new("RGB", (4, 4), "red").save(sample.image)
    samples = official.read()
    first = write_okvqa(samples, tmp_path / "first", "val2014")
    assert first.image_pattern == COCO_PATTERN  # files keep their kind
    read = first.read()
    second = write_okvqa(read, tmp_path / "second", "val2014")
    assert [(s.uid, s.answers, s.metadata) for s in read] == [(s.uid, s.answers, s.metadata) for s in samples]
    assert listing(tmp_path / "first") == listing(tmp_path / "second")
    for name in listing(tmp_path / "first"):
        if (path := tmp_path / "first" / name).is_file():
            assert path.read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert second.read()[0].answers == samples[0].answers


def test_what_is_written_has_the_official_shape(tmp_path: Path) -> None:
    files = export_scenes(tmp_path, "test", 12)
    assert files.questions.name == "OpenEnded_mscoco_test_questions.json"
    assert files.annotations.name == "mscoco_test_annotations.json"
    questions, annotations = (json.loads(path.read_text()) for path in (files.questions, files.annotations))
    head = {"info", "license", "data_type", "data_subtype"}
    assert set(questions) == head | {"task_type", "questions"}
    assert set(annotations) == head | {"question_types", "annotations"}
    assert (questions["task_type"], questions["data_type"]) == ("Open-Ended", "mscoco")
    assert set(questions["questions"][0]) == {"image_id", "question", "question_id"}
    for row in annotations["annotations"]:
        keys = {"image_id", "question_id", "question_type", "answer_type", "answers", "confidence", "metadata"}
        assert set(row) == keys
        assert [given["answer_id"] for given in row["answers"]] == list(range(1, 11))
        assert all(set(g) == {"answer_id", "answer", "raw_answer", "answer_confidence"} for g in row["answers"])
        assert annotations["question_types"][row["question_type"]] == row["metadata"]["relation"]
    assert listing(files.images) == [f"COCO_test_{i:012d}.png" for i in range(12)]


def test_several_splits_share_a_folder(tmp_path: Path) -> None:
    for split in ("calibration", "test"):
        export_scenes(tmp_path, split, 2, seed=3)
    assert read_okvqa(
        tmp_path / "OpenEnded_mscoco_calibration_questions.json",
        None,
        tmp_path / "calibration",
        split="calibration",
        image_pattern="COCO_{split}_{image_id:012d}.png",
    )
    assert len(listing(tmp_path)) == 2 * (2 + 1 + 2)


def test_questions_without_answers_have_no_annotations_file(tmp_path: Path) -> None:
    files = write_okvqa([replace(s, answers=()) for s in make_scenes("test", 2)], tmp_path, "test")
    assert files.annotations is None
    assert [s.answers for s in files.read()] == [(), ()]


def test_questions_on_one_picture_share_its_file(tmp_path: Path) -> None:
    first, second = make_scenes("test", 2)
    both = [first, replace(second, image=first.image.copy(), image_id="0")]
    assert len(listing(write_okvqa(both, tmp_path, "test").images)) == 1


SAMPLE = make_scenes("test", 1)[0]
OTHER = replace(SAMPLE, uid="scenes/test/1")
UNWRITABLE = {
    "nothing": ([], "Expected pictures of one kind"),
    "uid": ([replace(SAMPLE, uid="scenes/test/a")], r"Expected `uid \(its last part\)` .* whole number but got 'a'"),
    "leading zero": ([replace(SAMPLE, uid="scenes/test/01")], "whole number but got '01'"),
    "image id": ([replace(SAMPLE, image_id="../1")], r"Expected `image_id` of .* whole number but got '../1'"),
    "twice": ([SAMPLE, SAMPLE], "Expected each question_id once but scenes/test/0"),
    "two pictures": (
        [SAMPLE, replace(OTHER, image=255 - SAMPLE.image)],
        "one picture an image_id but scenes/test/1 has",
    ),
    "array and file": ([SAMPLE, replace(OTHER, image=Path("a.png"))], "one picture an image_id but scenes/test/1 has"),
    "blank question": ([replace(SAMPLE, question=" ")], "Expected `question` of scenes/test/0 as text"),
    "blank answer": ([replace(SAMPLE, answers=("a", " "))], "Expected answers to scenes/test/0, none blank"),
    "some answers": ([SAMPLE, replace(OTHER, answers=())], "Expected answers to scenes/test/1, none blank, as others"),
    "metadata": ([replace(SAMPLE, metadata={"a": {1}})], "Expected `metadata` of scenes/test/0 to be JSON but"),
    "NaN": ([replace(SAMPLE, metadata={"a": float("nan")})], "Expected `metadata` of scenes/test/0 to be JSON but"),
    "float picture": ([replace(SAMPLE, image=SAMPLE.image / 255)], r"Expected a picture .* uint8 but got .* float64"),
    "no such file": ([replace(SAMPLE, image=Path("none.png"))], "Expected a picture at none.png"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_the_format_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path, case: str) -> None:
    samples, message = UNWRITABLE[case]
    with pytest.raises(UserError, match=message):
        write_okvqa(samples, tmp_path / "new" / "folder", "test")
    assert listing(tmp_path) == []


def test_pictures_of_two_kinds_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "1.jpg")
    mixed = [SAMPLE, Sample("a/b/1", tmp_path / "1.jpg", "1", "Who?", ("me",) * 10)]
    with pytest.raises(UserError, match=r"Expected pictures of one kind, .*, but got \['.jpg', '.png'\]; convert them"):
        write_okvqa(mixed, tmp_path / "new", "test")


@pytest.mark.parametrize("split", ["", "../test", "a/b", "{x}"])
def test_splits_that_are_no_file_names_are_refused(tmp_path: Path, split: str) -> None:
    with pytest.raises(UserError, match="Expected `split` of letters, digits, - and _ but got"):
        write_okvqa([SAMPLE], tmp_path, split)


def test_what_is_there_already_is_not_overwritten(tmp_path: Path) -> None:
    export_scenes(tmp_path, "test", 2)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in listing(tmp_path)}
    with pytest.raises(UserError, match=r"Expected nothing at .*test but it exists; remove it or choose another"):
        export_scenes(tmp_path, "test", 3)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in listing(tmp_path)} == before


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"Expected to write to .*file but: .*; free it or choose another folder"):
        export_scenes(tmp_path / "file", "test", 1)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_failure_on_the_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, nth: int
) -> None:
    """The n-th picture, and the n-th rename, fail."""
    for owner, name in ((Image.Image, "save"), (Path, "rename")):
        calls, real = [], getattr(owner, name)

        def failing(*args: Any, real: Any = real, calls: list = calls, **kwargs: Any) -> Any:
            calls.append(args)
            if len(calls) == nth:
                raise error
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
                export_scenes(tmp_path / "new", "test", 3)
        assert len(calls) >= nth
        assert listing(tmp_path) == []


def test_an_unusable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"<html>")
    with pytest.raises(ImageError, match=r"1.png \(a/b/1\) is none"):
        write_okvqa([Sample("a/b/1", tmp_path / "1.png", "1", "Who?", ("me",))], tmp_path / "new", "test")
