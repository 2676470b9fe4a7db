"""A study's data without a model: the samples of its sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study.identity import contents
from lit_vlr.study.plan import Cell
from lit_vlr.study.settings import Verb
from lit_vlr.types import Sample


def samples_of(data: LightningDataModule) -> tuple[list[Sample], dict[str, list[Sample]]]:
    """The samples of the calibration split and of every test set, without a model.

    Raises:
        UserError: for data whose loaders do not give `Sample`s.
    """
    _prepare(data)
    data.setup("validate")
    calibration = list(_samples(data.val_dataloader(), data))
    data.setup("test")
    loaders = data.test_dataloader()
    names: Sequence[str] = data.test_names  # type: ignore[attr-defined]
    every = loaders if isinstance(loaders, list) else [loaders]
    return calibration, {name: list(_samples(one, data)) for name, one in zip(names, every, strict=True)}


def training_samples(data: LightningDataModule) -> Iterator[Sample]:
    """The samples of the training set, in the order of the set, without a model.

    Raises:
        UserError: for data whose loaders do not give `Sample`s.
    """
    _prepare(data)
    data.setup("fit")
    yield from _samples(data.train_dataloader(), data)


def _prepare(data: LightningDataModule) -> None:
    # Loaders lay pictures out with the model's family, through the Trainer. Nothing is laid out here: the data sets
    # behind the loaders are read, so a family that cannot lay out will do.
    family = SimpleNamespace(collate=None)
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(family=family))  # type: ignore[assignment]
    data.prepare_data()


def _samples(loader: Any, data: LightningDataModule) -> Iterator[Sample]:  # noqa: ANN401 - Lightning's own union
    dataset = loader.dataset if isinstance(loader, DataLoader) else None
    for index in range(len(dataset) if hasattr(dataset, "__len__") else 0):  # type: ignore[arg-type]
        sample = dataset[index]  # type: ignore[index]
        if not isinstance(sample, Sample):
            raise UserError(
                f"Expected samples of {type(data).__name__} but got {type(sample).__name__}; see lit_vlr.types"
            )
        yield sample


def data_settings(cell: Cell, verb: Verb) -> tuple[list[dict[str, Any]], list[str]]:
    """What files and arguments say of the data of a stage."""
    said = [contents(name).get("data") for name in cell.files(verb)]
    return [part for part in said if part], [given for given in cell.plan.overrides if given.startswith("--data")]


def data_module(parts: Sequence[dict[str, Any]], overrides: Sequence[str]) -> LightningDataModule:
    """The data that `data_settings` are of.

    Raises:
        ConfigError: if they do not parse.
    """
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
