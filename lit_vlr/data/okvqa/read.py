"""Reads the official OK-VQA files, and believes nothing in them unchecked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lit_vlr.data.records import Record, quote, some
from lit_vlr.data.vqa_format import VQAFormat
from lit_vlr.errors import UserError
from lit_vlr.types import Sample, Task

COCO_PATTERN = "COCO_{split}_{image_id:012d}.jpg"
AnswerField = Literal["answer", "raw_answer"]


@dataclass(frozen=True)
class OKVQAFiles:
    """One split of OK-VQA, or of anything in its format.

    Attributes:
        questions: ``OpenEnded_mscoco_{split}_questions.json``.
        annotations: ``mscoco_{split}_annotations.json``; None where there are no labels.
        images: folder of the pictures.
        split: ``train2014`` and ``val2014`` in the official files.
        image_pattern: file name of a picture, a format string over ``split`` and ``image_id``.
    """

    questions: Path
    annotations: Path | None
    images: Path
    split: str
    image_pattern: str = COCO_PATTERN

    def read(self, dataset: str = "okvqa", answer_field: AnswerField = "answer") -> list[Sample]:
        """Read them; see `read_okvqa`."""
        return read_okvqa(
            self.questions,
            self.annotations,
            self.images,
            dataset=dataset,
            split=self.split,
            answer_field=answer_field,
            image_pattern=self.image_pattern,
        )


def read_okvqa(
    questions: Path,
    annotations: Path | None,
    images: Path,
    *,
    dataset: str = "okvqa",
    split: str,
    answer_field: AnswerField = "answer",
    image_pattern: str = COCO_PATTERN,
    task: Task | None = None,
    image_source: str = "",
    require_ten: bool = False,
) -> list[Sample]:
    """Read one split.

    Args:
        questions: ``OpenEnded_mscoco_{split}_questions.json``.
        annotations: ``mscoco_{split}_annotations.json``; None leaves every sample without answers.
        images: folder of the pictures. They are looked at when a sample is loaded, not here.
        dataset: first part of the uids.
        split: second part of the uids, and what ``image_pattern`` may use; ``val2014``, say.
        answer_field: ``answer`` is stemmed, ``raw_answer`` is as typed.
        image_pattern: file name of a picture, a format string over ``split`` and ``image_id``.
        task: how the samples are asked and scored.
        image_source: within which image_ids say which picture it is; ``coco`` for the official files.
        require_ten: refuse questions without exactly ten answers, instead of a warning.

    Returns:
        Samples in the order of the questions. ``metadata`` holds the name of the ``question_type``; where an annotation
        has a ``metadata`` key (`write_okvqa` puts one there, the official files have none), it holds that instead.

    Raises:
        DataFormatError: if a file is missing or not JSON, lacks a key, repeats a question_id, has a value of the wrong
            kind or a blank question or answer; if questions and annotations differ in their question_ids or image_ids;
            or if a picture would lie outside ``images``.
        UserError: if ``images`` is no folder, or ``image_pattern`` or ``answer_field`` is malformed.
    """
    if answer_field not in get_args(AnswerField):
        raise UserError(f"Expected `answer_field` to be one of {get_args(AnswerField)} but got {answer_field!r}")
    return VQAFormat(
        prefix=f"{dataset}/{split}",
        image_name=_namer(image_pattern, split),
        answer_field=answer_field,
        labels=_label,
        annotation_fields=("question_type", "metadata"),
        because="`image_pattern` leads",
        task=task,
        image_source=image_source,
        require_ten=require_ten,
    ).read(questions, annotations, images)


def _namer(pattern: str, split: str) -> Callable[[int | str], str]:
    try:
        pattern.format(split=split, image_id=0)
    except (LookupError, ValueError, AttributeError) as error:
        raise UserError(
            f"Expected `image_pattern` as a format of `split` and `image_id` but got {pattern!r}; "
            f"the official one is {COCO_PATTERN!r}"
        ) from error
    return lambda image_id: pattern.format(split=split, image_id=image_id)


def _label(row: Record, document: Record) -> dict[str, Any]:
    """The name of the kind of a question."""
    names = document.mapping("question_types")
    code = row.text("question_type")
    if code not in names:
        row.fail("question_type", f"Expected one of `question_types` ({some(list(names))}) but got {quote(code)}")
    return row.mapping("metadata") if "metadata" in row.row else {"question_type": names[code]}
