"""Predictions in the formats of benchmarks that somebody else scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_document, read_table
from lit_vlr.data.staging import publish, refuse_existing, staging
from lit_vlr.errors import UserError
from lit_vlr.functional.pairing import check_same_ids
from lit_vlr.predictions import read_predictions
from lit_vlr.tasks import parse_box
from lit_vlr.types import Prediction

TOUCHSTONE = ("question", "human_annotation", "gpt4_ha_answer", "category", "task_name")
"""Columns that its judge asks for, besides ``response``."""


def question_id(prediction: Prediction) -> str:
    """What the benchmark calls the question: the uid without data set and split."""
    return prediction.uid.split("/", 2)[-1]


def vqa_results(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The VQA servers' list of ``question_id`` and ``answer``: VQAv2, OK-VQA, TextVQA.

    Abstentions count for nothing there, so every answer is written.

    Raises:
        UserError: if a question_id is no number.
    """
    rows = []
    for prediction in predictions:
        key = question_id(prediction)
        if not (key.isascii() and key.isdigit()):
            raise UserError(f"Expected a number at the end of the uid but got {prediction.uid!r}; is it VQA's format?")
        rows.append({"question_id": int(key), "answer": prediction.answer})
    return rows


def vizwiz_results(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """VizWiz's list of ``image`` and ``answer``."""
    return [{"image": prediction.image_id, "answer": prediction.answer} for prediction in predictions]


def grit_results(predictions: Sequence[Prediction], task: str) -> list[dict[str, Any]]:
    """GRIT's list for a task: ``words`` for ``vqa`` and ``categorization``, ``bboxes`` for ``refexp``.

    Boxes are read from answers in coordinates of 0 to 999, and need ``width`` and ``height`` in the metadata; an answer
    without a box has none.

    Raises:
        UserError: if a confidence is outside of [0, 1], a size is missing, or the task is another.
    """
    rows = []
    for prediction in predictions:
        confidence = prediction.confidence if prediction.calibrated is None else prediction.calibrated
        if not 0 <= confidence <= 1:
            raise UserError(
                f"Expected a confidence in [0, 1], which GRIT scores, but that of {prediction.uid} is "
                f"{confidence:.4g}; test with a threshold file that has a calibrator"
            )
        row: dict[str, Any] = {"example_id": question_id(prediction), "confidence": confidence}
        if task in ("vqa", "categorization"):
            row["words"] = prediction.answer
        elif task == "refexp":
            size = prediction.metadata.get("width"), prediction.metadata.get("height")
            if not all(isinstance(side, int) for side in size):
                raise UserError(f"Expected `width` and `height` in the metadata of {prediction.uid} but got {size}")
            box = parse_box(prediction.answer, (float(size[0] or 0), float(size[1] or 0)))
            row["bboxes"] = [] if box is None else [[round(corner) for corner in box]]
        else:
            raise UserError(f"Expected the task vqa, categorization or refexp but got {task!r}")
        rows.append(row)
    return rows


def touchstone_results(predictions: Sequence[Prediction], questions: Path) -> list[dict[str, str]]:
    """TouchStone's table with a ``response`` a row, without its pictures; rows are matched by ``index``.

    Raises:
        DataFormatError: if the table is malformed.
        UserError: if predictions are missing or too many.
    """
    limit = csv.field_size_limit(2**31 - 1)  # a picture is a value of megabytes
    try:
        rows = read_table(questions, ("index", *TOUCHSTONE), "\t")
    finally:
        csv.field_size_limit(limit)
    answers = {question_id(prediction): prediction.answer for prediction in predictions}
    _same(answers, (str(record.row["index"]) for record in rows), questions)
    kept = ("index", *TOUCHSTONE)
    return [{**{k: r.row[k] for k in kept}, "response": answers[str(r.row["index"])]} for r in rows]


def check_questions(predictions: Sequence[Prediction], file: Path, questions: Path) -> None:
    """Refuse predictions that are not exactly about the questions of an official file.

    Raises:
        DataFormatError: of the predictions, with counts and examples of what is missing and what is too many.
    """
    asked = (str(record.integer("question_id")) for record in read_document(questions).records("questions"))
    try:
        _same(map(question_id, predictions), asked, questions)
    except UserError as error:
        raise DataFormatError(file, None, "", "uid", str(error)) from error


def _same(answers: Iterable[str], asked: Iterable[str], questions: Path) -> None:
    remedy = f"answer exactly the questions of {questions}"
    try:
        check_same_ids(list(answers), list(asked), ("predictions", "questions"), remedy)
    except ValueError as error:
        raise UserError(str(error)) from error


def export(
    file: Path, to: str, out: Path, questions: Path | None = None, task: str = "vqa", params: int | None = None
) -> int:
    """Write predictions as a hosted benchmark takes them.

    Args:
        file: predictions of `lit-vlr test`.
        to: ``vqav2``, ``vizwiz``, ``grit`` or ``touchstone``.
        out: the file; for GRIT the folder, which gets ``{task}.json`` and ``params.json``.
        questions: the official questions, which the answers have to be about; TouchStone's table, which is needed.
        task: GRIT's.
        params: the model's parameters in millions, which GRIT asks for.

    Returns:
        The number of answers.

    Raises:
        UserError: if something that the format needs is missing, or ``out`` exists.
    """
    predictions = read_predictions(file)
    if not predictions:
        raise UserError(f"Expected answers in {file} but it is empty; run `lit-vlr test` again")
    if to == "touchstone":
        if questions is None:
            raise UserError("Expected --questions, TouchStone's own table, whose columns its judge asks for")
        rows = touchstone_results(predictions, questions)
        _write(out, lambda path: _write_table(path, rows))
        return len(rows)
    if to == "grit":
        if params is None:
            raise UserError("Expected --params, the model's parameters in millions, which GRIT asks for")
        answers = grit_results(predictions, task)
        size = json.dumps({"params_in_millions": params})
        if not (out / "params.json").exists():
            _write(out / "params.json", lambda path: path.write_text(size))
        _write(out / f"{task}.json", lambda path: path.write_text(json.dumps(answers)))
        return len(answers)
    if questions is not None:
        check_questions(predictions, file, questions)
    results = vqa_results(predictions) if to == "vqav2" else vizwiz_results(predictions)
    _write(out, lambda path: path.write_text(json.dumps(results)))
    return len(results)


def _write(out: Path, write: Callable[[Path], object]) -> None:
    refuse_existing(out)
    with staging(out.parent) as stage:
        write(stage / out.name)
        publish(stage, [out])


def _write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
