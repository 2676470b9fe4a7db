"""What is right: official annotations, or rows of ``question_id`` and the right answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.records import Record, quote


class Reference(NamedTuple):
    """What annotations say of a question.

    Attributes:
        image_id: what questions on one picture share.
        answers: what people said, in their order, or every spelling that is right; at least one.
        answer_confidences: how sure each of them was; None where the file does not say.
        metadata: ``question_type`` and ``answer_type``, where the file has them.
    """

    image_id: str
    answers: tuple[str, ...]
    answer_confidences: tuple[str, ...] | None = None
    metadata: dict[str, str] = {}  # noqa: RUF012 - never written to


def read_annotations(path: Path) -> dict[str, Reference]:
    """Read what is right, by question id.

    ``{"annotations": [...]}`` is the official format of VQAv2, OK-VQA and VizWiz. Otherwise rows, as a JSON list, as
    JSON lines, or below ``data`` (TextVQA, DocVQA): ``question_id``, the picture as ``image_id`` or ``image``, and what
    is right as ``answers`` (a list of texts), ``answer`` (one text), ``label`` (POPE) or ``bbox`` (RefCOCO: corners of
    a box in pixels).

    Args:
        path: the file.

    Returns:
        A reference to each id; ids that are whole numbers become their digits.

    Raises:
        DataFormatError: naming file, entry and field: what is no JSON, an id that is there twice, no answer.
    """
    references: dict[str, Reference] = {}
    for record in _rows(path):
        key = question_id(record)
        row = record.named(key)
        if key in references:
            row.fail("question_id", f"Expected each once but {key} is there twice; remove one")
        kinds: dict[str, Any] = {name: record.row.get(name) for name in ("question_type", "answer_type")}
        answers, confidences = _answers(row)
        metadata = {name: kind for name, kind in kinds.items() if isinstance(kind, str)}
        references[key] = Reference(_image_id(row), answers, confidences, metadata)
    return references


def question_id(record: Record) -> str:
    """The id of a question, which some files write as a number and others as text."""
    name = "questionId" if "questionId" in record.row and "question_id" not in record.row else "question_id"
    if isinstance(record.row.get(name), str):
        return _canonical(record.text(name))
    return str(record.integer(name))


def _canonical(text: str) -> str:
    """Digits as a whole number would be written, so that "007" and 7 are one question."""
    return str(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else text


def _rows(path: Path) -> Iterator[Record]:
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"Expected annotations but they cannot be read ({error.strerror}); check the path"
        raise DataFormatError(path, None, "", "", message) from error
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        yield from _lines(path, content, error)
        return
    if isinstance(document, dict):
        # A single line of JSON lines is a document, too.
        is_row = {"question_id", "questionId"} & set(document)
        whole = Record(path, {"data": [document]} if is_row else document)
        yield from whole.records("data" if "data" in whole.row else "annotations")
        return
    yield from Record(path, {"the list": document}).records("the list")


def _lines(path: Path, content: bytes, whole: Exception) -> Iterator[Record]:
    if not content.strip():
        raise DataFormatError(path, None, "", "", f"Expected JSON but it cannot be parsed ({whole}); the file is empty")
    for place, line in enumerate(content.splitlines()):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            # Of a broken document the error of the whole says more than that of its first line.
            why = whole if place == 0 else error
            message = f"Expected JSON but it cannot be parsed ({why}); download or unpack it again"
            raise DataFormatError(path, place if place else None, "", "", message) from error
        if not isinstance(row, dict):
            raise DataFormatError(path, place, "", "", f"Expected an object but got {quote(row)}")
        yield Record(path, row, place)


def _answers(row: Record) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """What people said, and how sure they were."""
    match row.row:
        case {"answers": [dict(), *_]}:
            said = row.records("answers")
            answers, confidences = _texts(said, "answer"), _texts(said, "answer_confidence")
            if answers is None:
                row.fail("answers", f"Expected a text of each annotator but got {quote([a.row for a in said])}")
            return answers, confidences
        case {"answers": [str(), *_] as texts} if all(isinstance(text, str) for text in texts):
            return tuple(texts), None
        case {"answers": given}:
            row.fail("answers", f"Expected a list with texts but got {quote(given)}")
        case {"answer": _} | {"label": _}:
            return (row.text("answer" if "answer" in row.row else "label"),), None
        case {"bbox": [*corners]} if len(corners) == 4 and all(_is_number(corner) for corner in corners):
            return (", ".join(map(str, corners)),), None
        case {"bbox": given}:
            row.fail("bbox", f"Expected four numbers but got {quote(given)}; give the corners x1, y1, x2, y2")
    return (row.get("answers"),), None  # complains that there is none


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(rows: list[Record], field: str) -> tuple[str, ...] | None:
    """A field of every row; None unless all have text there."""
    values = [row.row.get(field) for row in rows]
    texts = tuple(value for value in values if isinstance(value, str))
    return texts if len(texts) == len(values) else None


def _image_id(row: Record) -> str:
    """COCO's pictures have numbers, those of VizWiz file names."""
    field = "image_id" if "image_id" in row.row or "image" not in row.row else "image"
    return row.text(field) if isinstance(row.get(field), str) else str(row.integer(field))
