"""Loggers get the report's figures of what was tested."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from PIL import Image

from lit_vlr.report.panels import sections
from lit_vlr.report.runs import read_runs
from lit_vlr.report.summary import summarize


class LogFigures(Callback):
    """After a test, give every figure that a report of this one run has to every logger that takes pictures.

    Risk against coverage, clean and attacked; abstention, risk and accuracy against ε where one attack was run at
    several; every set side by side. They are drawn from the run's predictions files, as the report does it, and named
    ``test/figures/<figure>``. TensorBoard, Weights & Biases and MLflow take them; a CSV file has no place for a
    picture. A run without predictions files (no `lit_vlr.recording.RecordPredictions`) has nothing to draw.

    Args:
        n_resamples: of the bootstrap that the whiskers come from.

    Raises:
        ValueError: if ``n_resamples`` is below 1.
    """

    def __init__(self, n_resamples: int = 1000) -> None:
        if n_resamples < 1:
            raise ValueError(f"Expected `n_resamples` of at least 1 but got {n_resamples}; 1000 is usual")
        self.n_resamples = n_resamples

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Not when the test ends, but after every callback's end of it, where the files have got their names."""
        run = Path(trainer.default_root_dir)
        takers = [taker for logger in trainer.loggers if (taker := picture_taker(logger, trainer.global_step))]
        if stage != "test" or not trainer.is_global_zero or not takers or not any(run.glob("predictions/*.jsonl")):
            return
        # A report has arms side by side. Here each has its own log, and what is to be compared must be named alike.
        arms = [replace(one, name="") for one in read_runs([run])]
        found = sections(arms, summarize(arms, n_resamples=self.n_resamples, n_resamples_rows=self.n_resamples))
        for panel in (panel for section in found for panel in section.panels):
            with Image.open(io.BytesIO(panel.drawing.png())) as image:
                picture = image.convert("RGB")
            for take in takers:
                take(f"test/figures/{panel.drawing.name}", picture)


def picture_taker(logger: Logger, step: int) -> Callable[[str, Image.Image], None] | None:
    """How a logger is given a picture; None where it takes none.

    By what the logger can do, so that none of their packages has to be installed.
    """
    taker: Any = logger
    if hasattr(logger, "log_image"):  # WandbLogger
        return lambda name, picture: taker.log_image(name, [picture], step)
    experiment: Any = getattr(logger, "experiment", None)
    if hasattr(experiment, "add_image"):  # TensorBoardLogger
        return lambda name, picture: experiment.add_image(name, np.asarray(picture), step, dataformats="HWC")
    if hasattr(experiment, "log_image") and hasattr(logger, "run_id"):  # MLFlowLogger
        return lambda name, picture: experiment.log_image(taker.run_id, picture, artifact_file=f"{name}.png")
    return None
