"""Calibration and test questions must be apart: by uid, and by picture."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lit_vlr.errors import UserError
from lit_vlr.study.datasets import data_module, data_settings, samples_of
from lit_vlr.study.plan import Plan
from lit_vlr.types import ImageRef, Sample

Seen: TypeAlias = dict[str, str]
"""What each key is of: the uid of the question that brought it."""


def check_apart(plan: Plan) -> None:
    """Refuse a study whose calibration split shares a question or a picture with a test set, before it takes an hour.

    Each data set that the arms name is looked at once. Pictures are told apart by what is in them, not by their ids,
    which are numbered anew in each split of some data sets; of files, by their bytes.

    Raises:
        UserError: naming both questions.
    """
    looked_at: list[Any] = []
    for cell in plan.cells:
        settings = data_settings(cell, "test")
        if settings not in looked_at:
            looked_at.append(settings)
            calibration, tests = samples_of(data_module(*settings))
            for name, samples in tests.items():
                check_samples_apart(calibration, samples, name)


def check_samples_apart(calibration: Sequence[Sample], test: Sequence[Sample], name: str) -> None:
    """Refuse two sets that share a uid or a picture.

    Args:
        calibration: questions that thresholds are chosen on.
        test: questions of a test set.
        name: the test set's.

    Raises:
        UserError: if they do.
    """
    uids = {sample.uid for sample in calibration}
    pictures: Seen = {picture_key(sample.image): sample.uid for sample in calibration}
    remedy = "a threshold chosen on what it is tested on is flattered: give `data` a calibration split of its own"
    for sample in test:
        if sample.uid in uids:
            raise UserError(
                f"Expected calibration and test questions to be apart but {sample.uid} is in both, the calibration "
                f"split and {name}; {remedy}"
            )
        other = pictures.get(picture_key(sample.image))
        if other is not None:
            raise UserError(
                f"Expected calibration and test pictures to be apart but {other} of the calibration split and "
                f"{sample.uid} of {name} have one picture; {remedy}"
            )


def picture_key(image: ImageRef) -> str:
    """What tells a picture from others: SHA-256 of its file, or of its shape and pixels."""
    if isinstance(image, Path):
        if not image.is_file():
            return f"missing {image}"  # the reader says so, with the question, when it comes to it
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    pixels = image if isinstance(image, np.ndarray) else image.pixels("")
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
