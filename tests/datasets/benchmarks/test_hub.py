"""Tables of the hub, from local Arrow and Parquet files: read, scored, and refused where something is wrong."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_vlr.data.benchmarks import HubData
from lit_vlr.data.cost import image_tokens
from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.images import load_image, load_pixels
from lit_vlr.errors import ImageError, UserError
from lit_vlr.tasks import OptionChoice, VQAAccuracy, score_answer, summarise

datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
FIELDS = {"id": "question_id", "answers": "labels"}
Row = dict[str, Any]


def png(value: int) -> bytes:
    out = BytesIO()
    Image.fromarray(np.full((5, 4, 3), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def rows() -> list[Row]:
    return [
        {
            "question_id": 10 + i,
            "image": {"bytes": png(i), "path": None},
            "question": "What colour?",
            "labels": ["red"] * 9 + ["blue"],
            "source": "flickr",
        }
        for i in range(3)
    ]


def made(folder: Path, given: list[Row], as_image: bool = True, **kwargs: Any) -> HubData:
    table = datasets.Dataset.from_list(given)
    if as_image:
        table = table.cast_column("image", datasets.Image())
    table.to_parquet(str(folder / "test.parquet"))
    settings: dict[str, Any] = {"fields": FIELDS, "metric": VQAAccuracy(), "dataset": "copy", **kwargs}
    return HubData(repository="someone/copy", files=[folder / "test.parquet"], cache=folder / "cache", **settings)


def test_parquet(tmp_path: Path) -> None:
    samples = made(tmp_path, rows()).read()
    assert [sample.uid for sample in samples] == ["copy/test/10", "copy/test/11", "copy/test/12"]
    assert (samples[0].image_id, samples[0].image_source) == ("10", "copy")
    assert samples[1].metadata == {"source": "flickr"}
    assert samples[2].answers == ("red",) * 9 + ("blue",)
    assert np.array_equal(load_pixels(samples[2].image, "u"), np.full((5, 4, 3), 2, np.uint8))
    assert [score_answer(answer, samples[0], "no_skip") for answer in ("red", "blue", "xylophone")] == [1.0, 0.3, 0.0]
    assert summarise(["red", "red", "green"], samples)["vqa_accuracy"] == pytest.approx(2 / 3)


def test_samples_travel_to_workers(tmp_path: Path) -> None:
    sample = pickle.loads(pickle.dumps(made(tmp_path, rows()).read()[1]))
    assert load_image(sample.image, sample.uid).max() == pytest.approx(1 / 255)


def test_arrow(tmp_path: Path) -> None:
    datasets.Dataset.from_list(rows()).save_to_disk(str(tmp_path / "saved"))
    files = sorted((tmp_path / "saved").glob("*.arrow"))
    samples = HubData(repository="copy", files=files, fields=FIELDS, metric=VQAAccuracy()).read()
    assert [sample.uid for sample in samples] == ["own/test/10", "own/test/11", "own/test/12"]
    assert load_pixels(samples[1].image, "u").max() == 1


def test_parquet_below_a_folder(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{**row, "id": "a"} for row in rows()[:1]]).to_parquet(str(tmp_path / "test-0.parquet"))
    assert HubData.at(tmp_path, "test").files == [tmp_path / "test-0.parquet"]


def test_answers_may_be_objects_or_options(tmp_path: Path) -> None:
    objects = [
        {**row, "labels": [{"answer": "red", "answer_id": 1}, {"answer": "blue", "answer_id": 2}]} for row in rows()
    ]
    (tmp_path / "a").mkdir()
    assert made(tmp_path / "a", objects).read()[0].answers == ("red", "blue")
    (tmp_path / "b").mkdir()
    options = [{**row, "labels": "blue", "choices": ["red", "blue"]} for row in rows()]
    sample = made(tmp_path / "b", options, metric=OptionChoice()).read()[0]
    assert (sample.answers, sample.choices) == (("B",), ("red", "blue"))
    (tmp_path / "c").mkdir()
    unlabelled = [{k: v for k, v in row.items() if k != "labels"} for row in rows()]
    assert made(tmp_path / "c", unlabelled, fields={"id": "question_id"}).read()[0].answers == ()


def changed(field: str, value: Any, index: int = 1) -> Callable[[list[Row]], object]:
    return lambda given: given[index].__setitem__(field, value)


def without(field: str) -> Callable[[list[Row]], object]:
    return lambda given: [row.pop(field) for row in given]


MALFORMED: dict[str, tuple[Callable[[list[Row]], object], str, str, int | None]] = {
    "no id": (without("question_id"), "Expected this column", "question_id", None),
    "no picture": (without("image"), "Expected this column", "image", None),
    "no answers where some are mapped": (without("labels"), "Expected this column", "labels", None),
    "no question": (without("question"), "Expected this column", "question", None),
    "an id twice": (changed("question_id", 10), "Expected each once but 10 is already entry 0", "question_id", 1),
    "a null id": (changed("question_id", None), "Expected text but got None", "question_id", 1),
    "a negative id": (changed("question_id", -1), "Expected a whole number", "question_id", 1),
    "a blank question": (changed("question", " "), "Expected text but got ' '", "question", 1),
    "a null question": (changed("question", None), "Expected text but got None", "question", 1),
    "no answers": (changed("labels", []), "Expected a list with entries", "labels", 1),
    "a blank answer": (changed("labels", ["red", ""]), "Expected text but got ''", "labels[1]", 1),
    "an id of two lines": (
        lambda given: [row.__setitem__("question_id", f"a\n{i}") for i, row in enumerate(given)],
        "Expected an identifier but got",
        "question_id",
        0,
    ),
    "an answer that is no choice": (
        lambda given: [row.update(labels="green", choices=["red", "blue"]) for row in given],
        r"Expected one of \['A', 'B'\] or of the choices but got 'green'",
        "labels",
        0,
    ),
    "a blank choice": (
        lambda given: [row.update(labels="red", choices=["red", " "]) for row in given],
        "Expected text but got ' '",
        "choices[1]",
        0,
    ),
    "a null answer": (changed("labels", [None, "red"]), "Expected text but got None", "labels[0]", 1),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_tables_are_refused(case: str, tmp_path: Path) -> None:
    change, message, field, index = MALFORMED[case]
    given = rows()
    change(given)
    with pytest.raises(DataFormatError, match=message) as caught:
        made(tmp_path, given, as_image="image" in given[0]).read()
    assert (caught.value.field, caught.value.index) == (field, index)
    assert str(caught.value).startswith("someone/copy")


def test_there_are_at_least_twelve() -> None:
    assert len(MALFORMED) >= 12


@pytest.mark.parametrize("name", ["id", "image", "question", "answers", "choices", "image_id"])
def test_a_mapped_column_has_to_be_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"someone/copy, `nowhere`: Expected this column but there are only \["):
        made(tmp_path, rows(), fields={**FIELDS, name: "nowhere"}).read()


def test_what_the_hub_gives_is_read_at_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub is reachable here: the same call of ``datasets`` finds a folder, and is told the commit and the split."""
    asked: list[Any] = []
    real = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append((a, k)) or real(*a, **k))
    (tmp_path / "someone").mkdir()
    made(tmp_path / "someone", rows())
    repository = str(tmp_path / "someone")
    settings: dict[str, Any] = {"fields": FIELDS, "metric": VQAAccuracy(), "dataset": "copy", "cache": tmp_path / "c"}
    read = HubData(repository=repository, revision="0123456789" * 4, split="test", **settings).read()
    assert [sample.uid for sample in read] == ["copy/test/10", "copy/test/11", "copy/test/12"]
    assert load_pixels(read[2].image, "u").max() == 2
    (((repository_, config), given),) = asked
    assert (repository_, config, given["split"], given["revision"]) == (repository, None, "test", "0123456789" * 4)
    with pytest.raises(UserError, match=r"Expected a table from .*someone but it cannot be read: .*dev"):
        HubData(repository=repository, revision="0" * 40, split="dev", **settings).read()


def test_questions_that_are_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="`question`: Expected text but got 7"):
        made(tmp_path, [{**row, "question": 7} for row in rows()]).read()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ({"bytes": b"<html>", "path": None}, r"Expected a picture \(JPEG, PNG, WEBP\) but `image` of row 0"),
        ({"bytes": None, "path": "/etc/passwd"}, "Expected the bytes of a picture in `image` of copy/test/10"),
        ({"bytes": png(0)[:45], "path": None}, "Expected a whole picture but `image` of row 0"),
    ],
)
def test_pictures_that_are_none_are_refused(picture: Any, message: str, tmp_path: Path) -> None:
    sample = made(tmp_path, [{**rows()[0], "image": picture}]).read()[0]
    with pytest.raises(ImageError, match=message):
        load_image(sample.image, sample.uid)


def test_pictures_cost_what_their_headers_say(tmp_path: Path) -> None:
    out = BytesIO()
    Image.new("RGB", (57, 28)).save(out, "PNG")
    given = rows()
    given[1]["image"]["bytes"], given[2]["image"]["bytes"] = out.getvalue(), b"<html>"
    assert [image_tokens(sample.image) for sample in made(tmp_path, given).read()] == [1, 3, 0]
    (tmp_path / "b").mkdir()
    nowhere = made(tmp_path / "b", [{**rows()[0], "image": {"bytes": None, "path": "/etc/passwd"}}]).read()[0]
    assert image_tokens(nowhere.image) == 0


def test_bytes_without_a_type_are_pictures_too(tmp_path: Path) -> None:
    sample = made(tmp_path, [{**row, "image": row["image"]["bytes"]} for row in rows()], as_image=False).read()[1]
    assert load_pixels(sample.image, "u").max() == 1


@pytest.mark.parametrize("revision", [None, "main", "abc123", "A" * 40])
def test_revisions_have_to_be_pinned(revision: str | None) -> None:
    with pytest.raises(UserError, match=r"Expected `revision` of a/b as a commit of 40 hexadecimal digits but got"):
        HubData(repository="a/b", revision=revision).read()


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04"])
def test_files_that_are_no_tables_are_refused(content: bytes | None, tmp_path: Path) -> None:
    for suffix in ("parquet", "arrow"):
        file = tmp_path / f"a.{suffix}"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(UserError, match=f"Expected a table from .*a.{suffix} but it cannot be read"):
            HubData(repository="a", files=[file], cache=tmp_path / "cache").read()


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Expected `fields` to map id, image, .* but got \['label'\]"):
        made(tmp_path, rows(), fields={"label": "x"}).read()


def test_without_the_package_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = made(tmp_path, rows())
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'lit-vlr\[hub\]'"):
        reader.read()
