"""The Lightning callback that measures a module under attack while validating and testing."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn

from lit_vlr_callbacks.attacks.base import Attack, per_sample_loss
from lit_vlr_callbacks.batch import half_dtype, ordinary, read_images, replaced_images, rounded_back
from lit_vlr_callbacks.isolation import (
    attack_batch,
    casts_batches,
    forked_random_state,
    isolated_loss,
    model_precision,
    require_attackable,
)
from lit_vlr_callbacks.png import reloaded, save_png
from lit_vlr_callbacks.twin import twin

_HOOKS = {"val": "validation", "test": "test"}
PNG = "+png"
"""What the name of an attack ends with where its pictures have been files of eight bits."""


class AdversarialEvaluation(Callback):
    """Measure a module under attack while validating and testing, next to what it measures itself.

    Logs the means of ``attack_loss`` as ``<stage>/clean/attack_loss`` and ``<stage>/<attack>/attack_loss``, stage
    being ``val`` or ``test``; and once more, on the attacked pictures, all that the module's own ``validation_step`` or
    ``test_step`` logs: ``test/accuracy`` of the clean pictures gets a neighbour ``test/<attack>/accuracy``. Metrics are
    copied for it, so that the module's own stay clean; see `twin` for what the step must not do: change anything but
    metrics, lists, dictionaries and sets that are attributes of the module. The random stream starts anew with each
    epoch: two evaluations of one model agree, and epochs are compared on the same noise.

    Args:
        attacks: the searches by the name they are logged under.
        image_key: name or index of the pictures in the batch.
        seed: of the callback's own generator.
        metrics: run the module's step on the attacked pictures too.
        png: judge the attacked pictures a second time, after each has been written to an 8-bit PNG and read again; as
            ``<attack>+png``. An attack that does not survive this has found no picture.
        pictures: how many of the first pictures are saved, clean and attacked, as 8-bit PNG.
        folder: where to, under the stage's name; None is ``adversarial`` in the Trainer's root.

    Raises:
        ValueError: if there are no attacks, one has a name that is taken or no name for a file, or the number of
            pictures is negative.
    """

    def __init__(
        self,
        attacks: dict[str, Attack],
        image_key: int | str = "images",
        seed: int = 0,
        metrics: bool = True,
        png: bool = False,
        pictures: int = 0,
        folder: str | None = None,
    ) -> None:
        if not attacks or "clean" in attacks:
            raise ValueError(f"Expected attacks by name, none of them `clean`, but got {list(attacks)}")
        if wrong := [name for name in attacks if "/" in name or name.endswith(PNG)]:
            raise ValueError(f"Expected names of attacks without `/`, not ending in `{PNG}`, but got {wrong}")
        if pictures < 0:
            raise ValueError(f"Expected `pictures` of at least 0 but got {pictures}; 0 saves none")
        self.attacks = attacks
        self.image_key = image_key
        self.seed = seed
        self.metrics = metrics
        self.png = png
        self.pictures = pictures
        self.folder = folder
        self.generator = torch.Generator().manual_seed(seed)
        self._copies: dict[tuple[str, str], dict[str, nn.Module]] = {}  # of metrics, by stage and attack
        self._twins: dict[str, LightningModule] = {}
        self._saved = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Fail before any data is read if the module cannot be attacked."""
        self._copies = {}
        if stage != "predict":
            require_attackable(pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of the module."""
        self._copies, self._twins = {}, {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the random stream and the metrics anew."""
        self._start(pl_module, "val")

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the random stream and the metrics anew."""
        self._start(pl_module, "test")

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
        self._evaluate(trainer, pl_module, batch, (batch_idx, dataloader_idx), "val")

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
        self._evaluate(trainer, pl_module, batch, (batch_idx, dataloader_idx), "test")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute what the module computes at the end of an epoch."""
        self._hook("on_validation_epoch_end")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute what the module computes at the end of an epoch."""
        self._hook("on_test_epoch_end")

    def _start(self, pl_module: LightningModule, stage: str) -> None:
        self.generator.manual_seed(self.seed)
        self._saved = 0
        self._twins = {}
        if not self.metrics:
            return
        for name in self._names():
            copies = self._copies.setdefault((stage, name), {})
            self._twins[name] = twin(pl_module, partial(_renamed, stage=stage, attack=name), copies)
            for metric in copies.values():
                metric.reset()  # type: ignore[operator]  # a Metric, or a collection of them
        self._hook(f"on_{_HOOKS[stage]}_epoch_start")

    def _names(self) -> list[str]:
        return [*self.attacks, *(f"{name}{PNG}" for name in self.attacks if self.png)]

    def _hook(self, hook: str) -> None:
        """What the module does in a hook, by each of its twins."""
        for other in self._twins.values():
            if is_overridden(hook, other):
                getattr(other, hook)()

    def _evaluate(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,  # noqa: ANN401
        where: tuple[int, int],
        stage: str,
    ) -> None:
        images = read_images(batch, self.image_key, casts_batches(pl_module))
        dtype = half_dtype(batch, self.image_key)
        found: dict[str, Tensor] = {}
        for name, attack in self.attacks.items():
            found[name] = attack_batch(pl_module, batch, attack, self.image_key, self.generator).images
            if self.png:
                found[f"{name}{PNG}"] = reloaded(found[name])
        # Judge the pictures that came out: an attack may report the loss of an earlier iterate.
        with isolated_loss(pl_module, batch, images.device, image_key=self.image_key) as loss_fn, torch.no_grad():
            judged = {"clean": images, **found}
            losses = {name: per_sample_loss(loss_fn, ordinary(p)).mean() for name, p in judged.items()}
        for name, loss in losses.items():
            pl_module.log(
                f"{stage}/{name}/attack_loss",
                loss,
                batch_size=len(images),
                on_step=False,
                on_epoch=True,
                sync_dist=True,
            )
        for name, other in self._twins.items():
            given = replaced_images(batch, self.image_key, rounded_back(found[name], images, dtype))
            self._step(other, given, where, stage, images.device)
        if self._saved < self.pictures and trainer.is_global_zero:
            self._save(Path(self.folder or Path(trainer.default_root_dir) / "adversarial") / stage, images, found)

    def _step(
        self,
        other: LightningModule,
        batch: Any,  # noqa: ANN401
        where: tuple[int, int],
        stage: str,
        device: torch.device,
    ) -> None:
        step = getattr(other, f"{_HOOKS[stage]}_step")
        takes = inspect.signature(step).parameters
        with forked_random_state(device), model_precision(other):
            step(batch, *where[: 2 if "dataloader_idx" in takes else len(takes) - 1])

    def _save(self, folder: Path, images: Tensor, found: dict[str, Tensor]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for row in range(min(len(images), self.pictures - self._saved)):
            save_png(images[row], folder / f"{self._saved:05d}_clean.png")
            for name in self.attacks:
                save_png(found[name][row], folder / f"{self._saved:05d}_{name}.png")
            self._saved += 1


def _renamed(key: str, stage: str, attack: str) -> str:
    """The module's name of a value, with that of the attack in it.

    >>> _renamed("val/accuracy", "val", "pgd"), _renamed("val_loss", "val", "pgd"), _renamed("f1", "val", "pgd")
    ('val/pgd/accuracy', 'val/pgd/loss', 'val/pgd/f1')
    """
    for start in (f"{stage}/", f"{stage}_"):
        key = key.removeprefix(start)
    return f"{stage}/{attack}/{key}"
