"""A module and a Trainer as far as data goes: pictures, no text, and a record of what was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from lit_vlr.data.images import load_image
from lit_vlr.types import Batch, Sample


class Pictures:
    """A family as far as data goes: pictures and no text."""

    def collate(self, samples: Sequence[Sample], targets: Sequence[str]) -> Batch:
        images = torch.stack([load_image(sample.image, sample.uid) for sample in samples])
        nothing = torch.zeros(len(samples), 1, dtype=torch.long)
        return Batch(images, nothing, nothing, nothing, nothing, nothing, tuple(samples), tuple(targets))


class Watcher(LightningModule):
    """Writes down which samples it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.family = Pictures()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[str]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append([sample.uid for sample in batch.samples])
        return self.weight * batch.images.mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@dataclass
class Progress:
    """What `ResumableSampler` asks a Trainer for: ``fit_loop.epoch_loop.batch_progress.total.processed``."""

    processed: int = 0

    @property
    def fit_loop(self) -> Progress:
        return self

    epoch_loop = batch_progress = total = fit_loop


@dataclass
class Standing(Progress):
    """A Trainer that does not train."""

    lightning_module: Watcher = field(default_factory=Watcher)


def uids(batches: Sequence[Batch]) -> list[list[str]]:
    return [[sample.uid for sample in batch.samples] for batch in batches]
