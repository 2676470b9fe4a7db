"""The Lightning callback that attacks the pictures of a batch before a training step."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack
from lit_vlr_callbacks.batch import read_images, write_images
from lit_vlr_callbacks.isolation import attack_batch, require_attackable


class AdversarialTraining(Callback):
    """Train on attacked pictures: replaces ``batch[image_key]`` before the training step sees it.

    Any module with ``attack_loss(images, batch)`` can be trained so. The attack leaves no trace but the pictures:
    gradients, modes, frozen parameters and the global random state are as before, so that eps = 0 trains bit for bit
    like no callback at all. Works with gradient accumulation: each micro-batch is attacked on its own.

    Logs ``train/adversarial/attack_loss``, the mean of the attack's reported loss.

    Args:
        attack: the search; for training give `PGD` ``keep_best=False``, which saves a forward pass.
        image_key: name or index of the pictures in the batch.
        mode: ``standard`` attacks every row; ``mixed`` attacks some and leaves the others clean.
        adversarial_fraction: share of rows attacked in ``mixed`` mode; the rows are drawn anew for each batch, and a
            share that is not a whole number of rows is rounded up or down at random, right on average. The attack
            runs on the whole batch, since the other entries of a batch cannot be split in general: mixing costs as
            much as ``standard``.
        every_n_batches: attack the first of each n batches, counted over the whole training.
        warmup_steps: optimiser steps over which the range grows linearly from 0 to full.
        seed: of the callback's own generator.

    Raises:
        ValueError: if a number is out of its range.

    Reference:
        Madry et al., arXiv 1706.06083, section 2; mixed batches: Kurakin et al., arXiv 1611.01236, section 3.
    """

    def __init__(
        self,
        attack: Attack,
        image_key: int | str = "images",
        mode: Literal["standard", "mixed"] = "standard",
        adversarial_fraction: float = 0.5,
        every_n_batches: int = 1,
        warmup_steps: int = 0,
        seed: int = 0,
    ) -> None:
        if mode not in ("standard", "mixed"):
            raise ValueError(f"Expected `mode` as 'standard' or 'mixed' but got {mode!r}")
        if not 0 <= adversarial_fraction <= 1:
            raise ValueError(f"Expected `adversarial_fraction` in [0, 1] but got {adversarial_fraction}")
        if every_n_batches < 1:
            raise ValueError(f"Expected `every_n_batches` of at least 1 but got {every_n_batches}")
        if warmup_steps < 0:
            raise ValueError(f"Expected `warmup_steps` of at least 0 but got {warmup_steps}; 0 is no warm-up")
        self.attack = attack
        self.image_key = image_key
        self.mode = mode
        self.adversarial_fraction = adversarial_fraction
        self.every_n_batches = every_n_batches
        self.warmup_steps = warmup_steps
        self.generator = torch.Generator().manual_seed(seed)
        self.batches_seen = 0

    @property
    def state_key(self) -> str:
        """Distinguishes two of these in one Trainer."""
        return self._generate_state_key(image_key=self.image_key, mode=self.mode)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Fail before any data is read if the module cannot be attacked."""
        if stage == "fit":
            require_attackable(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Replace the pictures."""
        turn = self.batches_seen % self.every_n_batches == 0
        self.batches_seen += 1
        if not turn:
            return
        images = read_images(batch, self.image_key)
        attack = self._current_attack(trainer.global_step)
        result = attack_batch(pl_module, batch, attack, self.image_key, self.generator)
        attacked = result.images
        if self.mode == "mixed":
            rows = self._draw_rows(len(images)).to(images.device)
            attacked = torch.where(rows.view(-1, 1, 1, 1), attacked, images)
        write_images(batch, self.image_key, attacked)
        pl_module.log("train/adversarial/attack_loss", result.loss.mean(), batch_size=len(images))

    def _current_attack(self, step: int) -> Attack:
        if step >= self.warmup_steps:
            return self.attack
        return self.attack.scaled(step / self.warmup_steps)

    def _draw_rows(self, n: int) -> Tensor:
        """Which of n rows to attack, (n,) bool."""
        u = float(torch.rand((), generator=self.generator))
        count = int(self.adversarial_fraction * n + u)
        rows = torch.zeros(n, dtype=torch.bool)
        rows[torch.randperm(n, generator=self.generator)[:count]] = True
        return rows

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on with the same random stream."""
        return {"generator": self.generator.get_state(), "batches_seen": self.batches_seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self.generator.set_state(state_dict["generator"])
        self.batches_seen = state_dict["batches_seen"]
