"""What every mode of adversarial training is: one strategy object behind `AdversarialTraining`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack
from lit_vlr_callbacks.batch import mark_attacked, rounded_back, write_images
from lit_vlr_callbacks.isolation import require_attackable
from lit_vlr_callbacks.perturbations.base import Perturbation


@dataclass(frozen=True, eq=False)
class Turn:
    """A training batch whose turn it is to be attacked.

    Attributes:
        trainer: the Trainer.
        pl_module: the module in training.
        batch: the batch, which a mode may change in place; an entry ``attacked`` is told which rows were.
        batch_idx: the batch's number within its epoch.
        number: the batch's number within the whole training, from 0.
        image_key: where its pictures are.
        images: its pictures, (B, C, H, W), float32 in [0, 1], checked.
        dtype: the type of the batch's pictures if it has 16 bits, else None.
        attack: the search, its range and steps as the schedules want them now.
        threat: the perturbation at its full range, whatever the schedules say.
        generator: the callback's own randomness.
    """

    trainer: Trainer
    pl_module: LightningModule
    batch: Any
    batch_idx: int
    number: int
    image_key: int | str
    images: Tensor
    attack: Attack
    threat: Perturbation
    generator: torch.Generator
    dtype: torch.dtype | None = None

    def given(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W), float32, as the module is given them."""
        return rounded_back(images, self.images, self.dtype)

    def write(self, images: Tensor) -> None:
        """Replace the batch's pictures, and say whose they are if it asks."""
        write_images(self.batch, self.image_key, self.given(images))
        mark_attacked(self.batch, self.images, images)


class Mode(ABC):
    """How attacked pictures enter training.

    A mode gets the global random state, the modules' modes and ``.grad`` as they are and leaves them so; with a range
    of 0 it changes no bit of the training.

    Attributes:
        name: the name that selects it, unique.
        adds_loss: whether `added_loss` is to be asked in every training step.
    """

    name: str
    adds_loss: bool = False

    def check(self, pl_module: LightningModule, attack: Attack) -> None:
        """Refuse a module or an attack that the mode cannot work with, before any data is read.

        Raises:
            TypeError: if the module lacks a method.
            ValueError: if the attack is of the wrong kind.
        """
        require_attackable(pl_module)

    def start(self, trainer: Trainer, image_key: int | str) -> None:
        """Training begins, or goes on from a checkpoint whose state is loaded."""
        return

    @abstractmethod
    def before_step(self, turn: Turn) -> Tensor | None:
        """Attack the batch; returns the attack's loss of each sample, (B,), where there is one, to be logged."""

    def added_loss(self, pl_module: LightningModule) -> Tensor | None:
        """What is added to the loss of the training step that runs now; None on a batch that was not attacked.

        Called inside the training step: under the strategy's wrapper and the Trainer's precision, gradients on.
        """
        return None

    def after_backward(self) -> None:
        """The gradients of the training step are there, those of the optimiser step not yet used."""
        return

    def release(self) -> None:
        """The batch is through, or another has come: let go of it."""
        return

    def stop(self, finished: bool) -> None:
        """Training is over: ``finished``, or broken off and perhaps to be resumed. May be called twice."""
        return

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; plain data and tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        return
