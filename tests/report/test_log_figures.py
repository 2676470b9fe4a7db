"""Figures in the loggers: a real test of the embedded model, and what is then in TensorBoard's event file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.recording import RecordAttackedPredictions, RecordPredictions
from lit_vlr.report import build_report
from lit_vlr.report.log_figures import LogFigures, picture_taker
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import batch, family

Factory = dict[str, Callable[..., Any]]


class Scenes(LightningDataModule):
    """Four scenes of the test set."""

    test_names = ("test",)

    def __init__(self, module: SelectiveVLM) -> None:
        super().__init__()
        self.module = module

    def test_dataloader(self) -> list[Any]:
        return [DataLoader([batch(self.module.family, 4)], batch_size=None)]

    def describe(self) -> str:
        return "four scenes"


def run_test(folder: Path, loggers: list[Logger], *callbacks: Any) -> None:
    module = SelectiveVLM(family(), SFT(), max_new_tokens=4)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=loggers,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.test(module, datamodule=Scenes(module), verbose=False)


def test_tensorboard_has_the_reports_curves_of_clean_and_attacked_sets(tmp_path: Path) -> None:
    run = tmp_path / "run"
    attack = RecordAttackedPredictions(PGD(Linf("2/255"), steps=1), gallery=0, check=0, png=False)
    # The attack comes last, as a config file that is added brings it: its predictions must be there all the same.
    callbacks = [LogFigures(), RecordPredictions(), attack]
    run_test(
        run, [CSVLogger(run, name="", version="logs"), TensorBoardLogger(run, name="", version="logs")], *callbacks
    )
    log = EventAccumulator(str(run / "logs"))
    log.Reload()
    assert log.Tags()["images"] == ["test/figures/risk-coverage-attacked-test"]
    (event,) = log.Images("test/figures/risk-coverage-attacked-test")
    logged = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB"))

    page = build_report([run], tmp_path / "out", n_resamples=5)
    reported = page.parent / "figures" / "report-risk-coverage-attacked-test-run.png"
    assert (logged == np.asarray(Image.open(reported).convert("RGB"))).all()
    assert re.search(r"AURC: test [01]\.\d+, test\+linf_pgd [01]\.\d+\.", page.read_text())


def test_without_predictions_nothing_is_drawn(tmp_path: Path) -> None:
    board = TensorBoardLogger(tmp_path, name="", version="logs")
    trainer = Trainer(accelerator="cpu", logger=board, default_root_dir=tmp_path, enable_progress_bar=False)
    LogFigures().teardown(trainer, LightningModule(), "test")
    board.finalize("success")
    log = EventAccumulator(str(tmp_path / "logs"))
    log.Reload()
    assert log.Tags()["images"] == []


class Wandb(CSVLogger):
    """Takes pictures as Lightning's WandbLogger does: `log_image(key, images, step)`."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.took = key, [image.size for image in images], step


class MLflow(Logger):
    """Its experiment is MLflow's client, which takes a picture for a run: `log_image(run_id, image, artifact_file)`."""

    name = version = None
    run_id = "7f"

    class Client:
        def log_image(self, run_id: str, image: Any, artifact_file: str) -> None:
            self.took = run_id, image.size, artifact_file

    experiment = Client()

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any) -> None: ...


def test_loggers_are_given_pictures_in_their_own_way(tmp_path: Path) -> None:
    picture = Image.new("RGB", (3, 2))
    wandb = Wandb(tmp_path)
    take = picture_taker(wandb, 9)
    assert take is not None
    take("test/figures/a", picture)
    assert wandb.took == ("test/figures/a", [(3, 2)], 9)
    mlflow = MLflow()
    take = picture_taker(mlflow, 9)
    assert take is not None
    take("test/figures/a", picture)
    assert mlflow.experiment.took == ("7f", (3, 2), "test/figures/a.png")
    assert picture_taker(CSVLogger(tmp_path), 9) is None
