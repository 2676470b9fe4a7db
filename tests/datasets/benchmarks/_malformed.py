"""What can be wrong with the files of any benchmark, and what has to be said of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.datasets.benchmarks._layouts import Files, Layout, write_text

Change = Callable[[Files], object]


@dataclass(frozen=True)
class Variant:
    """A mistake.

    Attributes:
        change: makes it in the files.
        match: of the message, which starts with the file.
        field: that the error names; None where the case does not say.
        index: that the error names; -1 where the case does not say.
        file: that the error names; empty for the main file.
    """

    change: Change
    match: str
    field: str | None = None
    index: int | None = -1
    file: str = ""


def rows_of(files: Files, layout: Layout) -> Any:
    """The list, or the object, of the main file's rows; of a table and of text without its header."""
    found = files[layout.main]
    for key in layout.rows:
        found = found[key]
    return found


def row(files: Files, layout: Layout, index: int = 0) -> dict[str, Any]:
    rows = rows_of(files, layout)
    return list(rows.values())[index] if isinstance(rows, dict) else rows[index]


def replaced(layout: Layout, change: Callable[[str], bytes]) -> Change:
    """The bytes of the main file, changed."""

    def apply(files: Files) -> None:
        files[layout.main] = change(write_text(layout.main, files[layout.main]))

    return apply


def set_rows(layout: Layout, value: Any) -> Change:
    def apply(files: Files) -> None:
        if not layout.rows:
            files[layout.main] = value
            return
        found = files[layout.main]
        for key in layout.rows[:-1]:
            found = found[key]
        found[layout.rows[-1]] = value

    return apply


def set_key(layout: Layout, key: str, value: Any) -> Change:
    return lambda files: files[layout.main].__setitem__(key, value)


def put(layout: Layout, field: str, value: Any, index: int = 0) -> Change:
    return lambda files: row(files, layout, index).__setitem__(field, value)


def drop(layout: Layout, field: str, index: int = 0) -> Change:
    return lambda files: row(files, layout, index).pop(field)


def shared_variants(layout: Layout) -> dict[str, Variant]:
    """Mistakes in the file as such, and in its rows."""
    kind = layout.main.rpartition(".")[2] if "pope" not in layout.main else "jsonl"
    made = _files(layout, kind)
    return made if kind in ("csv", "txt") else made | _rows(layout, kind)


def _files(layout: Layout, kind: str) -> dict[str, Variant]:
    unparsed = {
        "csv": "Expected the columns .* but the header",
        "txt": "Expected picture, question and answer between tabs",
    }.get(kind, "Expected JSON but it cannot be parsed")
    packed = {"csv": "Expected table but", "txt": "Expected text but"}.get(kind, "Expected JSON but")
    empty = {"jsonl": "Expected one JSON object a line but the file is empty"}.get(kind, unparsed)
    cut = {"csv": "Expected a table but it cannot be parsed|Expected [0-9] values as in the header but got fewer"}
    cases = {
        "no text": Variant(replaced(layout, lambda text: b"PK\x03\x04\xff\xfe" + text.encode()), f"{packed} it cannot"),
        "a web page": Variant(replaced(layout, lambda text: b"<html>404</html>"), unparsed),
        "empty": Variant(replaced(layout, lambda text: b""), empty),
        "cut off": Variant(replaced(layout, lambda text: text[: _near_end(text)].encode()), cut.get(kind, unparsed)),
    }
    parts = ("existence.txt", "data/processed_questions/01-Illegal_Activitiy.json", "questions/2.png.json")
    if layout.main not in parts:  # of which one may be missing
        cases["not there"] = Variant(lambda files: files.pop(layout.main), "it cannot be read|Expected files of", "")
    return cases


def _rows(layout: Layout, kind: str) -> dict[str, Variant]:
    no_rows = {} if layout.rows == () and isinstance(_sample(layout), dict) else []
    listed = layout.rows[-1] if layout.rows else ""
    cases = {
        "a number": Variant(
            lambda files: files.__setitem__(layout.main, 7 if kind == "json" else [7]), "Expected an? "
        ),
        "no rows": Variant(
            set_rows(layout, no_rows), "Expected (a list with |one JSON|each of)?.*(entries|object|files)"
        ),
        "a row that is none": Variant(set_row(layout, "x"), "Expected (an )?object.*'x'"),
        "NaN": Variant(
            replaced(layout, lambda text: _first_value(text, "NaN")), "Expected finite numbers but got NaN", ""
        ),
        "a key twice": Variant(replaced(layout, _doubled), "Expected each key once but '\\w.*' is there twice"),
    }
    if layout.rows:
        key = layout.rows[0]
        cases["no list"] = Variant(lambda files: files[layout.main].pop(key), "Expected this key but there", listed)
        none = "Expected (a list with entries|an object) but got 'many'"
        cases["a list that is none"] = Variant(set_rows(layout, "many"), none, listed)
    if isinstance(rows_of(layout.files(), layout), dict):
        cases |= _keys(layout)
    if layout.id:
        cases |= _ids(layout, layout.id)
    if layout.question:
        cases |= _texts(layout, layout.question, "question")
    if layout.image:
        cases |= _images(layout, layout.image)
    if layout.answer:
        cases |= _answers(layout, layout.answer)
    return cases


def _keys(layout: Layout) -> dict[str, Variant]:
    """Of objects by id."""

    def named(key: str) -> Change:
        def apply(files: Files) -> None:
            rows = rows_of(files, layout)
            rows[key] = rows.pop(next(iter(rows)))

        return apply

    cases = {
        "a blank key": Variant(named(" "), "Expected text but got ' '", "(key)"),
        "half a surrogate pair as a key": Variant(named("\ud800"), "which is no Unicode", "(key)"),
    }
    if layout.id is None:  # keys are ids
        cases["a key of two lines"] = Variant(named("1\n2"), "Expected an identifier", "(key)")
    return cases


def _ids(layout: Layout, field: str) -> dict[str, Variant]:
    def twice(files: Files) -> None:
        row(files, layout, 1)[field] = row(files, layout, 0)[field]

    wrong = "Expected (a whole number|text|an identifier|this key)"
    return {
        "an id twice": Variant(twice, r"Expected each once but .* is already entry 0; remove one", field, 1),
        "no id": Variant(drop(layout, field), "Expected this key but there are only", field, 0),
        "an id of the wrong kind": Variant(put(layout, field, [1]), wrong, field, 0),
        "a blank id": Variant(put(layout, field, " "), wrong, field, 0),
        "a negative id": Variant(put(layout, field, -1), wrong, field, 0),
    }


def _texts(layout: Layout, field: str, what: str) -> dict[str, Variant]:
    many = isinstance(row(layout.files(), layout)[field], list)
    named = f"{field}[0]" if many else field
    wrap = (lambda value: [value, "b"]) if many else lambda value: value
    wrong = "Expected (text|a list with entries) but got"
    return {
        f"no {what}": Variant(drop(layout, field), "Expected this key but there are only", field),
        f"a blank {what}": Variant(put(layout, field, wrap(" \n")), wrong, named),
        f"a {what} that is a number": Variant(put(layout, field, wrap(7)), wrong, named),
        f"half a surrogate pair in a {what}": Variant(
            put(layout, field, wrap("a \ud800")), "which is no Unicode", named
        ),
    }


def _images(layout: Layout, field: str) -> dict[str, Variant]:
    outside = r"Expected a picture inside .* but it leads to /|Expected a file inside"

    def named(name: str) -> Change:
        def apply(files: Files) -> None:
            row(files, layout)[field] = name
            if layout.main == "questions.json":  # which the annotations repeat
                files["annotations.json"]["annotations"][0][field] = name

        return apply

    cases = {
        "no picture": Variant(drop(layout, field), "Expected this key but there are only", field),
        "a picture that is a list": Variant(put(layout, field, ["a.png"]), "Expected text but got", field),
        "a picture outside": Variant(named("../../../a"), outside, field),
        "a picture at an absolute path": Variant(named("/etc/a"), outside, field),
        "a picture with a null byte": Variant(named("a\0b"), "Expected the name of a file but got", field),
        "a URL": Variant(named("http://x.org/a.png"), "the URL", field),
    }
    if layout.main == "dataset.json":  # OCR-VQA names pictures by book
        return {key: cases[key] for key in ("no picture", "a picture that is a list")}
    if layout.main == "problems.json":  # ScienceQA puts folders before it
        del cases["a picture at an absolute path"]
    return cases


def _answers(layout: Layout, field: str) -> dict[str, Variant]:
    value = row(layout.files(), layout)[field]
    missing = Variant(drop(layout, field), "Expected this key but there are only", field)
    cases = {} if layout.main == "test.jsonl" and layout.id else {"no answer": missing}
    if isinstance(value, int):
        far = r"Expected the place of one of 4 choices, from 0, but got 4"
        return cases | {
            "a choice too far": Variant(put(layout, field, 4), far, field),
            "a choice that is no number": Variant(put(layout, field, "A"), "Expected a whole number", field),
            "a negative choice": Variant(put(layout, field, -1), "Expected a whole number", field),
        }
    if field == "bbox":
        return cases
    if isinstance(value, list) and isinstance(value[0], dict):
        place = "answers[0].answer"
        return (
            cases
            | {
                "answers of words": Variant(put(layout, field, ["a"]), "Expected objects but entry 0 is 'a'", field),
                "no answers": Variant(put(layout, field, []), "Expected a list with entries", field),
                "a blank answer": Variant(put(layout, field, [{"answer": ""}]), "Expected text but got ''", "answer"),
            }
            if layout.id == "image"
            else cases | {"x": Variant(lambda f: f, place)}
        )
    if isinstance(value, list):
        return cases | {
            "answers that are none": Variant(put(layout, field, {}), "Expected a list with entries", field),
            "no answers": Variant(put(layout, field, []), "Expected a list with entries", field),
            "a blank answer": Variant(put(layout, field, ["a", ""]), "Expected text but got ''", f"{field}[1]"),
            "an answer that is a number": Variant(put(layout, field, [3]), "Expected text but got 3", f"{field}[0]"),
        }
    wrong = "Expected (text|one of)"
    return cases | {
        "a blank answer": Variant(put(layout, field, " "), wrong, field),
        "an answer that is a number": Variant(put(layout, field, 3), wrong, field),
        "an answer that is a list": Variant(put(layout, field, ["a"]), wrong, field),
    }


def set_row(layout: Layout, value: Any) -> Change:
    def apply(files: Files) -> None:
        rows = rows_of(files, layout)
        rows[next(iter(rows)) if isinstance(rows, dict) else 0] = value

    return apply


def _near_end(text: str) -> int:
    """Where the last but one mark is: no value has been cut in two, which nobody could see in a table."""
    mark = "," if "," in text else "\t"
    return text.rindex(mark, 0, text.rindex(mark))


def _sample(layout: Layout) -> Any:
    return layout.files()[layout.main]


def _first_value(text: str, value: str) -> bytes:
    """The text with its first number or string behind a colon replaced."""
    return re.sub(r'(: )(-?[0-9]+|"[^"]*")', rf"\g<1>{value}", text, count=1).encode()


def _doubled(text: str) -> bytes:
    """The text with the first pair of its last object repeated."""
    at = text.rindex('{"')
    key = json.JSONDecoder().raw_decode(text[at + 1 :])[0]
    return (text[: at + 1] + f"{json.dumps(key)}: 0, " + text[at + 1 :]).encode()
