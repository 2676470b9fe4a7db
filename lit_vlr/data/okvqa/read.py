"""Reads the official OK-VQA files, and believes nothing in them unchecked."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.records import Record, quote, read_document
from lit_vlr.errors import UserError
from lit_vlr.types import Sample

COCO_PATTERN = "COCO_{split}_{image_id:012d}.jpg"
N_ANSWERS = 10
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
    pictures = _Pictures(images, image_pattern, split)
    prefix = f"{dataset}/{split}"
    asked = _by_question(read_document(questions).records("questions"), prefix)
    labels: dict[int, tuple[int, tuple[str, ...], dict[str, Any]]] = {}
    if annotations is not None:
        document = read_document(annotations)
        names = document.mapping("question_types")
        rows = _by_question(document.records("annotations"), prefix)
        _same_ids(annotations, asked.keys(), rows.keys())
        labels = {key: (row.integer("image_id"), *_label(row, names, answer_field)) for key, row in rows.items()}
        _warn_unless_ten(annotations, {rows[key].uid: len(label[1]) for key, label in labels.items()})
    samples = []
    for key, row in asked.items():
        image_id = row.integer("image_id")
        labelled_id, answers, metadata = labels.get(key, (image_id, (), {}))
        if labelled_id != image_id:
            row.fail(
                "image_id", f"Expected {labelled_id} as in {annotations} but got {image_id}; are both of one split?"
            )
        samples.append(
            Sample(row.uid, pictures.path(row, image_id), str(image_id), row.text("question"), answers, metadata)
        )
    return samples


class _Pictures:
    """Where pictures are, and nowhere else: neither ``..`` nor an absolute path nor a link leads out of the folder."""

    def __init__(self, folder: Path, pattern: str, split: str) -> None:
        if not folder.is_dir():
            raise UserError(f"Expected a folder of pictures at {folder} but there is none; check the path")
        self.root, self.pattern, self.split = folder.resolve(), pattern, split
        try:
            pattern.format(split=split, image_id=0)
        except (LookupError, ValueError, AttributeError) as error:
            raise UserError(
                f"Expected `image_pattern` as a format of `split` and `image_id` but got {pattern!r}; "
                f"the official one is {COCO_PATTERN!r}"
            ) from error

    def path(self, row: Record, image_id: int) -> Path:
        path = (self.root / self.pattern.format(split=self.split, image_id=image_id)).resolve()
        if not path.is_relative_to(self.root):
            row.fail("image_id", f"Expected a picture inside {self.root} but `image_pattern` leads to {path}")
        return path


def _by_question(rows: Iterable[Record], prefix: str) -> dict[int, Record]:
    """Rows by question_id, in their order, with their uids."""
    found: dict[int, Record] = {}
    for row in rows:
        key = row.integer("question_id")
        if key in found:
            row.fail("question_id", f"Expected each once but {key} is already entry {found[key].index}; remove one")
        found[key] = row.named(f"{prefix}/{key}")
    return found


def _same_ids(annotations: Path, asked: Iterable[int], labelled: Iterable[int]) -> None:
    only_asked, only_labelled = sorted(set(asked) - set(labelled)), sorted(set(labelled) - set(asked))
    if only_asked or only_labelled:
        sides = {"questions without annotation": only_asked, "annotations without question": only_labelled}
        found = " and ".join(f"{len(ids)} {side} ({_some(ids)})" for side, ids in sides.items() if ids)
        message = f"Expected one annotation a question but found {found}; take both files of one split"
        raise DataFormatError(annotations, None, "", "question_id", message)


def _some(things: list[Any]) -> str:
    return ", ".join(map(str, things[:5])) + (", …" if len(things) > 5 else "")


def _label(row: Record, names: dict[str, Any], answer_field: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Answers and metadata of an annotation."""
    answers = []
    for place, given in enumerate(row.records("answers")):
        text = given.row.get(answer_field)
        if not isinstance(text, str) or not text.strip():
            row.fail(f"answers[{place}].{answer_field}", f"Expected text but got {quote(text)}; correct the entry")
        answers.append(text)
    code = row.text("question_type")
    if code not in names:
        row.fail("question_type", f"Expected one of `question_types` ({_some(list(names))}) but got {quote(code)}")
    metadata = row.mapping("metadata") if "metadata" in row.row else {"question_type": names[code]}
    return tuple(answers), metadata


def _warn_unless_ten(annotations: Path, counts: dict[str, int]) -> None:
    odd = [f"{uid} ({n})" for uid, n in counts.items() if n != N_ANSWERS]
    if odd:
        warnings.warn(
            f"{annotations}: expected {N_ANSWERS} answers a question but {len(odd)} of {len(counts)} have another "
            f"number: {_some(odd)}; their soft accuracy is not comparable with published ones",
            stacklevel=3,
        )
