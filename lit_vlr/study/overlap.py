"""Calibration and test questions must be apart: by uid, and by picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study.identity import contents
from lit_vlr.study.plan import Cell, Plan
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
        settings = _data_settings(cell)
        if settings not in looked_at:
            looked_at.append(settings)
            calibration, tests = samples_of(_data_module(*settings))
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


def samples_of(data: LightningDataModule) -> tuple[list[Sample], dict[str, list[Sample]]]:
    """The samples of the calibration split and of every test set, without a model.

    Raises:
        UserError: for data whose loaders do not give `Sample`s.
    """
    # Loaders lay pictures out with the model's family, through the Trainer. Nothing is laid out here: the data sets
    # behind the loaders are read, so a family that cannot lay out will do.
    family = SimpleNamespace(collate=None)
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(family=family))  # type: ignore[assignment]
    data.prepare_data()
    data.setup("validate")
    calibration = list(_samples(data.val_dataloader(), data))
    data.setup("test")
    loaders = data.test_dataloader()
    names: Sequence[str] = data.test_names  # type: ignore[attr-defined]
    every = loaders if isinstance(loaders, list) else [loaders]
    return calibration, {name: list(_samples(one, data)) for name, one in zip(names, every, strict=True)}


def _samples(loader: Any, data: LightningDataModule) -> Iterator[Sample]:  # noqa: ANN401 - Lightning's own union
    dataset = loader.dataset if isinstance(loader, DataLoader) else None
    for index in range(len(dataset) if hasattr(dataset, "__len__") else 0):  # type: ignore[arg-type]
        sample = dataset[index]  # type: ignore[index]
        if not isinstance(sample, Sample):
            raise UserError(
                f"Expected samples of {type(data).__name__} but got {type(sample).__name__}; see lit_vlr.types"
            )
        yield sample


def _data_settings(cell: Cell) -> tuple[list[dict[str, Any]], list[str]]:
    """What files and arguments say of the data, for the test."""
    said = [contents(name).get("data") for name in cell.files("test")]
    return [part for part in said if part], [given for given in cell.plan.overrides if given.startswith("--data")]


def _data_module(parts: Sequence[dict[str, Any]], overrides: Sequence[str]) -> LightningDataModule:
    parser = _Parser()
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    given = [part for settings in parts for part in ("--config", yaml.safe_dump({"data": settings}))]
    parsed: Namespace = parser.parse_args([*given, *overrides])
    made: LightningDataModule = parser.instantiate(parsed).data
    return made


class _Parser(ArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> Any:  # noqa: ANN401 - as its parent
        raise ConfigError(f"the study's data does not parse: {' '.join(message.split())[:600]}") from ex
