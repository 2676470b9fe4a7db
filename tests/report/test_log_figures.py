"""Figures in the loggers: a real test of the embedded model, and what is then in TensorBoard's event file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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


def test_tensorboard_has_the_figures_of_the_report(tmp_path: Path) -> None:
    run = tmp_path / "run"
    attacks = [
        RecordAttackedPredictions(PGD(Linf(eps), steps=1), name=name, gallery=0, check=0, png=False)
        for name, eps in (("linf_pgd", "2/255"), ("linf_pgd_8", "8/255"))
    ]
    # Attacks come last, as a config file that is added brings them: their predictions must be there all the same.
    callbacks = [LogFigures(n_resamples=40), RecordPredictions(), *attacks]
    run_test(
        run, [CSVLogger(run, name="", version="logs"), TensorBoardLogger(run, name="", version="logs")], *callbacks
    )
    log = EventAccumulator(str(run / "logs"))
    log.Reload()
    against_eps = [f"eps-{what}-test-linf_pgd" for what in ("abstention", "accuracy", "risk")]
    names = sorted(["risk-coverage-attacked-test", *against_eps, "sets-abstention", "sets-accuracy"])
    assert sorted(log.Tags()["images"]) == [f"test/figures/{name}" for name in names]

    page = build_report([run], tmp_path / "out", n_resamples=40)
    figures = page.parent / "figures"
    logged = {name: logged_picture(log, name) for name in names}
    curves = shown(figures / "report-risk-coverage-attacked-test-run.png")
    # The curves of one arm are drawn alike; the others differ in the legend alone, which says "run" in a report.
    assert (logged["risk-coverage-attacked-test"] == curves).all()
    for name in [*against_eps, "sets-abstention"]:
        assert np.ptp(logged[name], axis=(0, 1)).min() > 200, f"{name} is a blank picture"
        assert (logged[name] != shown(figures / f"report-{name}.png")).mean() < 0.5
    assert re.search(r"AURC: test [01]\.\d+, test\+linf_pgd [01]\.\d+", page.read_text())


def logged_picture(log: EventAccumulator, name: str) -> Any:
    (event,) = log.Images(f"test/figures/{name}")
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB"))


def shown(path: Path) -> Any:
    return np.asarray(Image.open(path).convert("RGB"))


def test_intervals_need_resamples() -> None:
    with pytest.raises(ValueError, match=r"`n_resamples` of at least 1 but got 0"):
        LogFigures(n_resamples=0)


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
