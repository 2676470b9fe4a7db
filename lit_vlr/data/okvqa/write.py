"""Writes samples in the official OK-VQA format, all or nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lit_vlr.data.images import load_image, load_pixels
from lit_vlr.data.okvqa.read import OKVQAFiles
from lit_vlr.data.staging import publish, refuse_existing, staging
from lit_vlr.errors import UserError
from lit_vlr.types import ImageRef, Sample

_CODES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")  # the official ones
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_NUMBER = re.compile("0|[1-9][0-9]*")


def write_okvqa(samples: Sequence[Sample], folder: Path, split: str) -> OKVQAFiles:
    """Write samples such that `OKVQAFiles.read` gives equal ones back, and the official scripts can read them.

    Deviations from the official files: pictures held as arrays become PNG, for JPEG would change their pixels
    (``COCO_{split}_{image_id:012d}.png``); files are copied as they are. ``answer`` and ``raw_answer`` are the same,
    and the confidences constant, for a `Sample` has neither. Annotations get a ``metadata`` key that the official
    scripts ignore. ``question_type`` stands for ``metadata["question_type"]``, or else ``metadata["relation"]``.

    Args:
        samples: with a uid that ends in a number (the question_id) and a number as image_id; all with answers, or all
            without.
        folder: where to; made if missing, and left as it was if anything fails.
        split: part of the file names: ``OpenEnded_mscoco_{split}_questions.json``,
            ``mscoco_{split}_annotations.json`` (with answers only) and the folder ``{split}`` of pictures.

    Raises:
        UserError: if the samples cannot be written in this format, or ``folder`` has the split already.
        ImageError: if a picture cannot be used.
    """
    if not re.fullmatch("[A-Za-z0-9_-]+", split):
        raise UserError(f"Expected `split` of letters, digits, - and _ but got {split!r}: it is part of file names")
    pictures = _pictures(samples)
    pattern = "COCO_{split}_{image_id:012d}" + _suffix(pictures)
    documents = {folder / f"OpenEnded_mscoco_{split}_questions.json": _questions(samples, split)}
    if any(sample.answers for sample in samples):
        documents[folder / f"mscoco_{split}_annotations.json"] = _annotations(samples, split)
    questions, *annotations = documents
    files = OKVQAFiles(questions, annotations[0] if annotations else None, folder / split, split, pattern)
    targets = [files.images, *documents]
    for target in targets:
        refuse_existing(target)  # before hours of writing
    with staging(folder) as stage:
        (stage / split).mkdir()
        for image_id, picture in pictures.items():
            _write_picture(picture, stage / split / pattern.format(split=split, image_id=image_id))
        for path, document in documents.items():
            (stage / path.name).write_text(json.dumps(document), encoding="utf-8")
        publish(stage, targets)
    return files


def _number(text: str, name: str, sample: Sample) -> int:
    if not _NUMBER.fullmatch(text):
        raise UserError(
            f"Expected `{name}` of {sample.uid} to be a whole number but got {text!r}; renumber the samples"
        )
    return int(text)


def _question_id(sample: Sample) -> int:
    return _number(sample.uid.rpartition("/")[2], "uid (its last part)", sample)


def _pictures(samples: Sequence[Sample]) -> dict[int, ImageRef]:
    """Pictures by image_id."""
    pictures: dict[int, ImageRef] = {}
    for sample in samples:
        key = _number(sample.image_id, "image_id", sample)
        known = pictures.setdefault(key, sample.image)
        if known is sample.image:
            load_image(known, sample.uid)  # for its errors
        elif not _same(known, sample.image):
            raise UserError(
                f"Expected one picture an image_id but {sample.uid} has another one as {key}; renumber them"
            )
    return pictures


def _same(one: ImageRef, other: ImageRef) -> bool:
    if isinstance(one, Path) or isinstance(other, Path):
        return isinstance(one, Path) and isinstance(other, Path) and one == other
    return np.array_equal(load_pixels(one), load_pixels(other))


def _suffix(pictures: dict[int, ImageRef]) -> str:
    suffixes = {p.suffix.lower() if isinstance(p, Path) else ".png" for p in pictures.values()}
    if len(suffixes) != 1 or not suffixes <= set(_SUFFIXES):
        raise UserError(
            f"Expected pictures of one kind, {', '.join(_SUFFIXES)}, but got {sorted(suffixes)}; "
            "convert them, or write them apart"
        )
    return suffixes.pop()


def _head(split: str) -> dict[str, Any]:
    info = {"description": f"{split}, written by lit_vlr in the OK-VQA format", "version": "1.0", "url": ""}
    return {"info": info, "data_type": "mscoco", "data_subtype": split, "license": {"name": "", "url": ""}}


def _questions(samples: Sequence[Sample], split: str) -> dict[str, Any]:
    rows: dict[int, dict[str, Any]] = {}
    for sample in samples:
        key = _question_id(sample)
        if key in rows:
            raise UserError(f"Expected each question_id once but {sample.uid} is not the first {key}; renumber them")
        if not sample.question.strip():
            raise UserError(f"Expected `question` of {sample.uid} as text but it is blank")
        rows[key] = {"image_id": int(sample.image_id), "question": sample.question, "question_id": key}
    return {**_head(split), "task_type": "Open-Ended", "questions": list(rows.values())}


def _annotations(samples: Sequence[Sample], split: str) -> dict[str, Any]:
    codes: dict[str, str] = {}
    rows = []
    for sample in samples:
        kind = str(sample.metadata.get("question_type", sample.metadata.get("relation", "Other")))
        code = codes.setdefault(kind, _CODES[len(codes)] if len(codes) < len(_CODES) else str(len(codes) + 1))
        rows.append(_annotation(sample, code))
    return {**_head(split), "question_types": {v: k for k, v in codes.items()}, "annotations": rows}


def _annotation(sample: Sample, question_type: str) -> dict[str, Any]:
    if not sample.answers or not all(answer.strip() for answer in sample.answers):
        raise UserError(f"Expected answers to {sample.uid}, none blank, as others have, but got {sample.answers}")
    try:
        json.dumps(dict(sample.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"Expected `metadata` of {sample.uid} to be JSON but {error}") from error
    return {
        "image_id": int(sample.image_id),
        "question_id": _question_id(sample),
        "question_type": question_type,
        "answer_type": "other",
        "answers": [
            {"answer_id": i, "answer": answer, "raw_answer": answer, "answer_confidence": "yes"}
            for i, answer in enumerate(sample.answers, 1)
        ],
        "confidence": 3,
        "metadata": dict(sample.metadata),
    }


def _write_picture(picture: ImageRef, path: Path) -> None:
    if isinstance(picture, Path):
        shutil.copyfile(picture, path)
    else:
        Image.fromarray(load_pixels(picture)).save(path)
