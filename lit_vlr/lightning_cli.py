"""LightningCLI with this package's defaults: where files go, precision by device, honest checkpoint settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console
from rich.table import Column, Table
from torch import Tensor

from lit_vlr.benchmark_datamodule import BenchmarkDataModule
from lit_vlr.benchmark_table import benchmark_row, print_rows, write_table
from lit_vlr.checkpoints import read_checkpoint
from lit_vlr.errors import ConfigError, UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.printing import PrintAnswers
from lit_vlr.recording import CALIBRATION, ForgetEarlierTests
from lit_vlr.start_from import StartFrom
from lit_vlr.threshold_file import read_threshold
from lit_vlr.thresholding import ApplyThreshold


class _Parser(LightningArgumentParser):
    """Says what is wrong in one line: the usage of a Trainer is two hundred."""

    def error(self, message: str, ex: Exception | None = None) -> Any:  # noqa: ANN401
        """Raise what `lit_vlr.cli.main` prints."""
        raise ConfigError(_shorten(message)) from ex


class VLRCLI(LightningCLI):
    """The fit, validate, test and predict verbs."""

    @classmethod
    def run(cls, args: list[str] | None) -> VLRCLI:
        """Parse and execute."""
        return cls(
            SelectiveVLM,
            LightningDataModule,
            subclass_mode_data=True,
            parser_class=_Parser,
            args=args,
            save_config_kwargs={"overwrite": True},
        )

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:  # noqa: ANN401
        """Lightning's arguments, and where answers are given a threshold file; `add_arguments_to_parser` knows no verb.

        Not for `validate`, which fits the checkpoint's own.
        """
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "fit":
            said = "checkpoint of an earlier fit whose model this one starts from; to resume a fit give --ckpt_path"
            parser.add_argument("--start_from", type=Path | None, default=None, help=said)
        if subcommand in ("test", "predict"):
            said = "file of `lit-vlr calibrate`, used instead of the checkpoint's threshold"
            parser.add_argument("--threshold", type=Path | None, default=None, help=said)
        return parser

    def _parse_ckpt_path(self) -> None:
        """Lightning replaces the given model settings by the checkpoint's without a word; say where they differ."""
        given = self.config[self.config.subcommand]
        path = given.get("ckpt_path")
        if path and path not in ("best", "last", "hpc", "registry"):
            read_checkpoint(path)
        before = deepcopy(given.get("model"))
        super()._parse_ckpt_path()
        after = self.config[self.config.subcommand].get("model")
        if before is not None and before.get("confidence") is not None:
            # It changes no weight. The module drops a threshold that was fitted with another one, and says so.
            after.confidence = before.confidence
        for line in _differences(before, after):
            print(f"lit-vlr: the checkpoint's setting is used: {line}", file=sys.stderr)

    def before_instantiate_classes(self) -> None:
        """Fill in what depends on the device and the verb."""
        trainer = self.config[self.config.subcommand].trainer
        if file := self.config[self.config.subcommand].get("threshold"):
            read_threshold(file)  # a mistake in it is said before the model is loaded
        if trainer.precision is None:
            gpu = torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")
            trainer.precision = "bf16-mixed" if gpu else "32-true"
        if self.config.subcommand == "predict":
            trainer.enable_progress_bar = False  # it would be among the answers that are printed
        unwanted = set()  # callbacks that Lightning refuses beside these settings
        if trainer.enable_progress_bar is False:
            unwanted.add("RichProgressBar")
        if trainer.logger is None and self.config.subcommand not in ("fit", "test"):
            trainer.logger = False
        if trainer.logger is False:
            unwanted.add("LearningRateMonitor")
        if isinstance(trainer.callbacks, list):
            trainer.callbacks = [c for c in trainer.callbacks if c.class_path.rsplit(".", 1)[-1] not in unwanted]
        if self.config.subcommand == "test":
            self.config.test.verbose = False  # Lightning's table has a column a set; ours, a row

    def instantiate_classes(self) -> None:
        """Build everything; what a constructor says of an argument comes without jsonargparse's list of subtypes."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            if isinstance(error, UserError) or "Does not validate" not in str(error):
                raise
            raise ConfigError(_shorten(str(error))) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        """Put logs and checkpoints into the run's folder; a test must not touch the fit's logs, and has its own."""
        trainer_config = self.config[self.config.subcommand].trainer
        root = Path(trainer_config.default_root_dir or "runs/default")
        if trainer_config.logger in (None, True):
            testing = self.config.subcommand == "test"
            board = TensorBoardLogger(root, name="", version="test_logs" if testing else "logs")
            kwargs["logger"] = board if testing else [CSVLogger(root, name="", version="logs"), board]
        trainer = super().instantiate_trainer(**kwargs)
        if file := self.config[self.config.subcommand].get("threshold"):
            trainer.callbacks.insert(0, ApplyThreshold(file))  # type: ignore[attr-defined]  # first: others record it
        if start := self.config[self.config.subcommand].get("start_from"):
            trainer.callbacks.insert(0, StartFrom(start))  # type: ignore[attr-defined]  # first: others look at weights
        if self.config.subcommand == "test":
            trainer.callbacks.append(ForgetEarlierTests(Path(trainer.default_root_dir)))  # type: ignore[attr-defined]
        if self.config.subcommand == "predict":
            trainer.callbacks.append(PrintAnswers())  # type: ignore[attr-defined]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = str((root / "checkpoints").absolute())
        return trainer

    def after_validate(self) -> None:
        """Say where the calibration split's answers are."""
        path = Path(self.trainer.default_root_dir) / f"{CALIBRATION}.jsonl"
        if self.trainer.is_global_zero and path.is_file():
            print(f"calibration predictions: {path}")

    def before_test(self) -> None:
        """Say which weights are tested."""
        if self.config.test.get("ckpt_path") is None:
            print("lit-vlr: no --ckpt_path given: testing the base model as it is", file=sys.stderr)

    def after_test(self) -> None:
        """Write the run's report and say where it is."""
        from lit_vlr.report import build_report

        root = Path(self.trainer.default_root_dir)
        if self.trainer.is_global_zero and not self._benchmarks(root):
            print_table(self.trainer.callback_metrics)
        if self.trainer.is_global_zero and (root / "predictions").is_dir():
            print(f"predictions: {root / 'predictions'}\nreport: {build_report([root], root / 'report.html')}")

    def _benchmarks(self, root: Path) -> bool:
        """Print and write the table of benchmarks; False if none were tested, or their answers were not written."""
        data = self.datamodule
        if not isinstance(data, BenchmarkDataModule) or not (root / "predictions").is_dir():
            return False
        dialect = self.model.dialect
        rows = [
            benchmark_row(root / "predictions" / f"{name}.jsonl", name, data.sets[f"test/{name}"], dialect)
            for name in data.test_names
        ]
        print_rows(rows)
        write_table(rows, root / "benchmarks.json", dialect)
        print(f"benchmarks: {root / 'benchmarks.json'}")
        return True


def print_table(metrics: Mapping[str, Tensor]) -> None:
    """Print ``test/<set>/<name>`` metrics, a set a row."""
    columns = ("accuracy", "abstention_rate")
    table = Table("set", *(Column(c.replace("_", " "), justify="right") for c in columns), title="Test")
    for name in dict.fromkeys(key.split("/")[1] for key in metrics if key.startswith("test/")):
        values = [metrics.get(f"test/{name}/{column}") for column in columns]
        table.add_row(name, *("" if v is None else f"{float(v):.3f}" for v in values))
    Console().print(table)


def _differences(before: Any, after: Any, key: str = "model") -> list[str]:  # noqa: ANN401
    """Settings that the checkpoint changed, as ``key: given -> used``."""
    old, new = (dict(x.items()) if hasattr(x, "items") else x for x in (before, after))
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for k in sorted(set(old) & set(new)) for line in _differences(old[k], new[k], f"{key}.{k}")]
    return [] if old == new or before is None else [f"{key}: {old!r} was given, {new!r} is used"]


def _shorten(message: str) -> str:
    """What jsonargparse found, without its lists of everything that would have been right."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines() if line.strip()]
    own = next((line for line in lines if re.match(r"Expected `", line)), None)  # one of our constructors
    if own:
        return own
    problem = next((i for i, line in enumerate(lines) if line.startswith("Problem with given class_path")), None)
    if problem is not None:
        return f"{lines[0].rstrip(':')}: {' '.join(lines[problem : problem + 2])}"
    said = " ".join(lines)[:600]
    unknown = "not accepted" in said or "not expected" in said or "does not exist" in said
    return f"{said}; `--print_config` shows every key that there is" if unknown else said
