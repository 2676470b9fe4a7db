"""Answers to be scored: lit_vlr's own predictions, official VQA results, or those of earlier reliability evaluations.

The last two are a JSON list, or JSON lines, of ``question_id`` and ``answer``, and in the last also ``confidence``.
What is right stands in an annotations file in the official format of VQAv2 and OK-VQA, which VizWiz comes in, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_document
from lit_vlr.data.records import Record, quote
from lit_vlr.errors import UserError
from lit_vlr.functional import vqa_accuracy
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.vqa_accuracy import LeaveOneOut
from lit_vlr.predictions import PredictionsFormatError, read_predictions
from lit_vlr.types import Prediction


def read_answers(
    path: Path,
    annotations: Path | None = None,
    dialect: VQADialect = "no_skip",
    leave_one_out: LeaveOneOut = "index",
    *,
    need_confidence: bool = True,
) -> list[Prediction]:
    """Read answers and what they are worth.

    Args:
        path: predictions as `lit-vlr validate` and `lit-vlr test` write them; or rows of ``question_id``, ``answer``
            and ``confidence``, of which other keys are ignored.
        annotations: official annotations of exactly the answered questions, for the second kind only.
        dialect: of VQA accuracy, for the second kind only.
        leave_one_out: of VQA accuracy, for the second kind only.
        need_confidence: refuse files without any ``confidence``, as official results are.

    Returns:
        At least one prediction, each with its accuracy. Those of the second kind have the ``question_id`` as uid, no
        question, the annotations' ``question_type`` and ``answer_type`` as metadata, and abstain on nothing. Their
        confidence may be infinite, and is NaN in all of them if the file has none.

    Raises:
        UserError: if there are no answers, an accuracy is not known, or annotations are missing.
        FileNotFoundError: if there is no such file.
        PredictionsFormatError: naming file and line: malformed rows, NaN, doubled ids.
        DataFormatError: the same of a JSON list; annotations that are malformed or about other questions.
    """
    if not _has_question_ids(path):
        predictions = read_predictions(path)
        for line, prediction in enumerate(predictions, start=1):
            if prediction.accuracy is None:
                message = "expected an accuracy but got null; only labelled predictions can be scored"
                raise PredictionsFormatError(path, line, prediction.uid, "accuracy", message)
    elif annotations is None:
        raise UserError(
            f"Expected --annotations, since {path} holds question_ids and no accuracies; give the official annotations"
        )
    else:
        predictions = _score_answers(path, annotations, dialect, leave_one_out, need_confidence)
    if not predictions:
        raise UserError(f"Expected answers in {path} but it is empty; run `lit-vlr validate` or `lit-vlr test` again")
    return predictions


class _Question(NamedTuple):
    """What annotations say of a question."""

    image_id: str
    answers: tuple[str, ...]
    answer_confidences: tuple[str, ...] | None
    metadata: dict[str, str]


@dataclass(frozen=True)
class _Row:
    """One answer of a foreign file, and where it stands."""

    file: Path
    place: int  # from 0
    is_line: bool
    values: Mapping[str, Any]

    @property
    def where(self) -> str:
        return f"line {self.place + 1}" if self.is_line else f"entry {self.place}"

    def fail(self, field: str, message: str) -> NoReturn:
        uid = self.values.get("question_id")
        name = None if uid is None else str(uid)
        if self.is_line:
            raise PredictionsFormatError(self.file, self.place + 1, name, field or None, message)
        raise DataFormatError(self.file, self.place, name or "", field, message)

    def question_id(self) -> int:
        value = self._get("question_id")
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail("question_id", f"expected a whole number of at least 0 but got {quote(value)}")
        return value

    def answer(self) -> str:
        value = self._get("answer")
        if not isinstance(value, str):
            self.fail("answer", f"expected text but got {quote(value)}; write it as it was generated")
        return value

    def confidence(self) -> float:
        value = self._get("confidence")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        try:
            number = float(value) if is_number else math.nan
        except OverflowError:  # an integer beyond a float's range
            number = math.nan
        if math.isnan(number):
            self.fail(
                "confidence", f"expected a number but got {quote(value)}; give a row never to be answered -Infinity"
            )
        return number

    def _get(self, field: str) -> Any:  # noqa: ANN401 - JSON
        if field not in self.values:
            self.fail(field, f"expected this key but there are only {quote(list(self.values))}")
        return self.values[field]


def _has_question_ids(path: Path) -> bool:
    """Whether a file is of the foreign kind; what is no JSON at all is left to the readers to complain about."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline().strip()
    if first.startswith(b"["):
        return True
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "question_id" in row and "uid" not in row


def _score_answers(
    path: Path, annotations: Path, dialect: VQADialect, leave_one_out: LeaveOneOut, need_confidence: bool
) -> list[Prediction]:
    questions = _read_annotations(annotations)
    seen: dict[int, str] = {}
    predictions = []
    has_confidence = need_confidence
    for row in _rows(path):
        key = row.question_id()
        if key in seen:
            row.fail("question_id", f"expected each once but {key} is already {seen[key]}; remove one")
        if key not in questions:
            row.fail("question_id", f"expected a question of {annotations} but {key} is none; take both of one split")
        has_confidence = has_confidence or (not seen and "confidence" in row.values)
        if not has_confidence and "confidence" in row.values:
            row.fail("confidence", "expected none, as in the rows before; give every row one, or none")
        seen[key] = row.where
        said, text = questions[key], row.answer()
        predictions.append(
            Prediction(
                uid=str(key),
                image_id=said.image_id,
                question="",
                answer=text,
                confidence=row.confidence() if has_confidence else math.nan,
                abstained=False,
                accuracy=vqa_accuracy(text, said.answers, dialect, leave_one_out, said.answer_confidences),
                answers=said.answers,
                metadata=said.metadata,
            )
        )
    if missing := [key for key in questions if key not in seen]:
        few = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        message = (
            f"expected an answer to each of the {len(questions)} questions of {annotations} but {len(missing)} have "
            f"none ({few}); answer all of them"
        )
        raise PredictionsFormatError(path, None, None, "question_id", message)
    return predictions


def _rows(path: Path) -> Iterator[_Row]:
    content = path.read_bytes()
    if content.lstrip().startswith(b"["):
        try:
            rows = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataFormatError(path, None, "", "", f"Expected JSON but it cannot be parsed ({error})") from error
        for place, row in enumerate(rows):
            yield _checked(_Row(path, place, False, {}), row)
        return
    for place, line in enumerate(content.splitlines()):
        bare = _Row(path, place, True, {})
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            bare.fail("", f"expected one JSON object but it cannot be parsed ({error})")
        yield _checked(bare, row)


def _checked(bare: _Row, row: object) -> _Row:
    if not isinstance(row, dict):
        bare.fail("", f"expected an object but got {quote(row)}")
    return _Row(bare.file, bare.place, bare.is_line, row)


def _read_annotations(path: Path) -> dict[int, _Question]:
    """What is said of each question_id; VQAv2's files lack what `read_okvqa` asks of OK-VQA's."""
    questions: dict[int, _Question] = {}
    for record in read_document(path).records("annotations"):
        key = record.integer("question_id")
        row = record.named(str(key))
        if key in questions:
            row.fail("question_id", f"Expected each once but {key} is there twice; remove one")
        rows = row.records("answers")
        answers = _texts(rows, "answer")
        if answers is None or len(answers) < 2:
            found = [answer.row.get("answer") for answer in rows]
            row.fail("answers", f"Expected the answers of at least two annotators but got {quote(found)}")
        kinds: dict[str, Any] = {name: record.row.get(name) for name in ("question_type", "answer_type")}
        metadata = {name: kind for name, kind in kinds.items() if isinstance(kind, str)}
        questions[key] = _Question(_image_id(row), answers, _texts(rows, "answer_confidence"), metadata)
    return questions


def _texts(rows: list[Record], field: str) -> tuple[str, ...] | None:
    """A field of every row; None unless all have text there."""
    values = [row.row.get(field) for row in rows]
    texts = tuple(value for value in values if isinstance(value, str))
    return texts if len(texts) == len(values) else None


def _image_id(row: Record) -> str:
    """COCO's pictures have numbers, those of VizWiz file names."""
    return row.text("image_id") if isinstance(row.get("image_id"), str) else str(row.integer("image_id"))
