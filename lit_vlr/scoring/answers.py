"""Answers to be scored: lit_vlr's own predictions, official VQA results, or those of earlier reliability evaluations.

The last two are a JSON list, or JSON lines, of ``question_id`` and ``answer``, and in the last also ``confidence``.
What is right then stands in an annotations file; see `lit_vlr.scoring.annotations`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lit_vlr.errors import UserError
from lit_vlr.predictions import PredictionsFormatError, read_predictions
from lit_vlr.scoring.accuracy import Accuracy
from lit_vlr.scoring.annotations import Reference, read_annotations
from lit_vlr.scoring.rows import read_rows
from lit_vlr.types import Prediction


class Answered(NamedTuple):
    """Answers and what is right.

    Attributes:
        predictions: at least one, each with its accuracy.
        references: what is right, row by row; None where no file said.
    """

    predictions: list[Prediction]
    references: list[Reference] | None


def read_answers(
    path: Path,
    annotations: Path | None = None,
    accuracy: Accuracy | None = None,
    *,
    need_confidence: bool = True,
) -> Answered:
    """Read answers and what they are worth.

    Args:
        path: predictions as `lit-vlr validate` and `lit-vlr test` write them; or rows of ``question_id``, ``answer``
            and ``confidence``, of which other keys are ignored.
        annotations: annotations of exactly the answered questions, for the second kind only.
        accuracy: by whose rule answers are right. None keeps the accuracies of the first kind as they were recorded,
            and is VQA accuracy for the second.
        need_confidence: refuse files without any ``confidence``, as official results are.

    Returns:
        At least one prediction, each with its accuracy. Those of the second kind have the ``question_id`` as uid, no
        question, the annotations' ``question_type`` and ``answer_type`` as metadata, and abstain on nothing. Their
        confidence may be infinite, and is NaN in all of them if the file has none. Where only yes and no are right, an
        answer that says neither is withheld, with a confidence of -inf, and its accuracy is 0.

    Raises:
        UserError: if there are no answers, an accuracy is not known, or annotations are missing.
        FileNotFoundError: if there is no such file.
        PredictionsFormatError: naming file and line: malformed rows, NaN, doubled ids.
        DataFormatError: the same of a JSON list; annotations that are malformed or about other questions.
    """
    if not _has_question_ids(path):
        answered = _own(path, accuracy)
    elif annotations is None:
        raise UserError(
            f"Expected --annotations, since {path} holds question_ids and no accuracies; give the official annotations"
        )
    else:
        answered = _foreign(path, annotations, accuracy or Accuracy(), need_confidence)
    if not answered.predictions:
        raise UserError(f"Expected answers in {path} but it is empty; run `lit-vlr validate` or `lit-vlr test` again")
    return answered


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


def _own(path: Path, accuracy: Accuracy | None) -> Answered:
    """lit_vlr's own predictions, scored again if a rule is named."""
    predictions = read_predictions(path)
    labelled = all(prediction.answers for prediction in predictions)
    references = [Reference(p.image_id, p.answers) for p in predictions] if labelled else None
    for line, prediction in enumerate(predictions, start=1):
        if accuracy is None and prediction.accuracy is None:
            message = "expected an accuracy but got null; only labelled predictions can be scored"
            raise PredictionsFormatError(path, line, prediction.uid, "accuracy", message)
        if accuracy is not None and not prediction.answers:
            message = "expected what is right but got no answers; without --accuracy the recorded accuracies are taken"
            raise PredictionsFormatError(path, line, prediction.uid, "answers", message)
    if accuracy is not None and references is not None:
        predictions = [
            _scored(prediction, reference, accuracy, path)
            for prediction, reference in zip(predictions, references, strict=True)
        ]
    return Answered(predictions, references)


def _foreign(path: Path, annotations: Path, accuracy: Accuracy, need_confidence: bool) -> Answered:
    questions = read_annotations(annotations)
    seen: dict[str, str] = {}
    predictions, references = [], []
    has_confidence = need_confidence
    for row in read_rows(path):
        key = row.question_id()
        if key in seen:
            row.fail("question_id", f"expected each once but {key} is already {seen[key]}; remove one")
        if key not in questions:
            row.fail("question_id", f"expected a question of {annotations} but {key} is none; take both of one split")
        has_confidence = has_confidence or (not seen and "confidence" in row.values)
        if not has_confidence and "confidence" in row.values:
            row.fail("confidence", "expected none, as in the rows before; give every row one, or none")
        seen[key] = row.where
        said = questions[key]
        prediction = Prediction(
            uid=key,
            image_id=said.image_id,
            question="",
            answer=row.answer(),
            confidence=row.confidence() if has_confidence else math.nan,
            abstained=False,
            accuracy=None,
            answers=said.answers,
            metadata=said.metadata,
        )
        predictions.append(_scored(prediction, said, accuracy, annotations))
        references.append(said)
    _check_all_answered(path, annotations, questions, seen)
    return Answered(predictions, references)


def _scored(prediction: Prediction, reference: Reference, accuracy: Accuracy, where: Path) -> Prediction:
    try:
        worth = accuracy(prediction.answer, reference)
    except ValueError as error:
        raise UserError(f"{where}, question {prediction.uid}: {error} (for --accuracy {accuracy.name})") from error
    if accuracy.declines(prediction.answer):
        never = prediction.confidence if math.isnan(prediction.confidence) else -math.inf
        return replace(prediction, accuracy=worth, abstained=True, confidence=never, declined=True)
    return replace(prediction, accuracy=worth)


def _check_all_answered(
    path: Path, annotations: Path, questions: Mapping[str, Reference], seen: Mapping[str, str]
) -> None:
    if missing := [key for key in questions if key not in seen]:
        few = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        message = (
            f"expected an answer to each of the {len(questions)} questions of {annotations} but {len(missing)} have "
            f"none ({few}); answer all of them"
        )
        raise PredictionsFormatError(path, None, None, "question_id", message)
