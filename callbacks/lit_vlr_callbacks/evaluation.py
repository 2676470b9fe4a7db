"""The Lightning callback that measures the loss under attack while validating and testing."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lit_vlr_callbacks.attacks.base import Attack, per_sample_loss
from lit_vlr_callbacks.batch import ordinary, read_images
from lit_vlr_callbacks.isolation import attack_batch, isolated_loss, require_attackable


class AdversarialEvaluation(Callback):
    """Measure the loss under attack while validating and testing, next to the clean one.

    Logs the means of ``attack_loss`` as ``<stage>/clean/attack_loss`` and ``<stage>/<attack>/attack_loss``, stage
    being ``val`` or ``test``. The batch itself, and so the module's own metrics, stay clean. The random stream starts
    anew with each epoch: two evaluations of one model agree, and epochs are compared on the same noise.

    Args:
        attacks: the searches by the name they are logged under.
        image_key: name or index of the pictures in the batch.
        seed: of the callback's own generator.

    Raises:
        ValueError: if there are no attacks, or one is called ``clean``.
    """

    def __init__(self, attacks: dict[str, Attack], image_key: int | str = "images", seed: int = 0) -> None:
        if not attacks or "clean" in attacks:
            raise ValueError(f"Expected attacks by name, none of them `clean`, but got {list(attacks)}")
        self.attacks = attacks
        self.image_key = image_key
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Fail before any data is read if the module cannot be attacked."""
        if stage != "predict":
            require_attackable(pl_module)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the random stream anew."""
        self.generator.manual_seed(self.seed)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the random stream anew."""
        self.generator.manual_seed(self.seed)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Attack the batch."""
        self._evaluate(pl_module, batch, "val")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Attack the batch."""
        self._evaluate(pl_module, batch, "test")

    def _evaluate(self, pl_module: LightningModule, batch: Any, stage: str) -> None:  # noqa: ANN401
        images = read_images(batch, self.image_key)
        pictures = {"clean": images}
        for name, attack in self.attacks.items():
            pictures[name] = attack_batch(pl_module, batch, attack, self.image_key, self.generator).images
        # Judge the pictures that came out: an attack may report the loss of an earlier iterate.
        with isolated_loss(pl_module, batch, images.device) as loss_fn, torch.no_grad():
            losses = {name: per_sample_loss(loss_fn, ordinary(p)).mean() for name, p in pictures.items()}
        for name, loss in losses.items():
            pl_module.log(
                f"{stage}/{name}/attack_loss",
                loss,
                batch_size=len(images),
                on_step=False,
                on_epoch=True,
                sync_dist=True,
            )
