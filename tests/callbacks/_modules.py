"""Small LightningModules and data that every callback test shares."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset[dict[str, Tensor]]):
    """Random pictures in [0, 1] whose label is which half is brighter."""

    def __init__(self, n: int = 16, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.rand(n, 3, 8, 8, generator=generator)
        self.labels = (self.images[..., :4].mean((1, 2, 3)) > self.images[..., 4:].mean((1, 2, 3))).long()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"images": self.images[index], "labels": self.labels[index]}


class Classifier(LightningModule):
    """Convolution, batch norm, dropout, linear: the layers whose state an attack could disturb."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(4 * 64, 2),
        )

    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
        return nn.functional.cross_entropy(self.net(images), batch["labels"], reduction="none")

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.attack_loss(batch["images"], batch).mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.attack_loss(batch["images"], batch).mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def loader(n: int = 16, batch_size: int = 4, **kwargs: Any) -> DataLoader[dict[str, Tensor]]:
    return DataLoader(Pictures(n), batch_size=batch_size, **kwargs)


def trainer(*callbacks: Callback, max_epochs: int = 1, **kwargs: Any) -> Trainer:
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(callbacks=list(callbacks), max_epochs=max_epochs, **(settings | kwargs))
