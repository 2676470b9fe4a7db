"""The Lightning callback that attacks the pictures of a batch before a training step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lit_vlr_callbacks.attacks.base import Attack
from lit_vlr_callbacks.batch import half_dtype, read_images
from lit_vlr_callbacks.isolation import casts_batches
from lit_vlr_callbacks.training.base import Mode, Turn
from lit_vlr_callbacks.training.fgsm_rs import FGSMRS
from lit_vlr_callbacks.training.free import Free
from lit_vlr_callbacks.training.mixed import Mixed
from lit_vlr_callbacks.training.schedule import Schedule, check_schedules, scheduled
from lit_vlr_callbacks.training.standard import Standard
from lit_vlr_callbacks.training.trades import TRADES
from lit_vlr_callbacks.training.warm import Warm

_MODES: dict[str, Callable[[], Mode]] = {mode.name: mode for mode in (Standard, Mixed, TRADES, Free, FGSMRS, Warm)}


class AdversarialTraining(Callback):
    """Train on attacked pictures: replaces ``batch[image_key]`` before the training step sees it.

    Any module with ``attack_loss(images, batch)`` can be trained so. The attack leaves no trace but the pictures:
    gradients, modes, frozen parameters and the global random state are as before, so that eps = 0 trains bit for bit
    like no callback at all, in every mode. Works with gradient accumulation: each micro-batch is attacked on its own.
    Attacks are in float32 whatever the precision; under ``bf16-true``, where the Trainer casts pictures before anybody
    sees them, attacked ones are rounded towards the clean ones: eps holds, but changes of 1/255 are lost in bright
    pixels.
    Under DDP each process attacks its own rows, all with the same random numbers.

    Logs ``train/adversarial/attack_loss``, the mean of the attack's reported loss.

    Args:
        attack: the search; for training give `PGD` ``keep_best=False``, which saves a forward pass.
        image_key: name or index of the pictures in the batch.
        mode: how attacked pictures enter training, as a name or as an object with settings of its own. ``standard``
            attacks every row; ``mixed`` attacks some and leaves the others clean; ``trades`` trains on clean pictures
            and the divergence from attacked ones (`TRADES`; the module needs ``attack_logits``); ``free`` has one
            backward pass for weights and perturbation (`Free`); ``fgsm_rs`` is one step from a random start, watched
            for catastrophic overfitting (`FGSMRS`); ``warm`` starts where each sample's last attack ended (`Warm`; the
            batch needs an entry ``index``).
        adversarial_fraction: share of rows attacked by mode ``mixed``; see `Mixed`.
        every_n_batches: attack the first of each n batches, counted over the whole training.
        warmup_steps: optimiser steps over which the range grows linearly from 0 to full: short for an ``eps_schedule``
            from 0 to 1.
        seed: of the callback's own generator.
        eps_schedule: share of the attack's range, in [0, 1], over the optimiser steps.
        steps_schedule: steps of the attack, rounded, over the optimiser steps.

    Raises:
        ValueError: if a number is out of its range, the mode is unknown, or settings exclude each other.
    """

    def __init__(
        self,
        attack: Attack,
        image_key: int | str = "images",
        mode: Mode | str = "standard",
        adversarial_fraction: float = 0.5,
        every_n_batches: int = 1,
        warmup_steps: int = 0,
        seed: int = 0,
        eps_schedule: Schedule | None = None,
        steps_schedule: Schedule | None = None,
    ) -> None:
        mixed = Mixed(adversarial_fraction)  # checks the share whatever the mode is
        if isinstance(mode, str):
            if mode not in _MODES:
                raise ValueError(f"Expected `mode` as one of {list(_MODES)} or a Mode but got {mode!r}")
            mode = mixed if mode == Mixed.name else _MODES[mode]()
        if every_n_batches < 1:
            raise ValueError(f"Expected `every_n_batches` of at least 1 but got {every_n_batches}")
        if every_n_batches > 1 and isinstance(mode, Free):
            raise ValueError("Expected `every_n_batches: 1` in mode 'free', whose attack costs nothing; leave it out")
        if warmup_steps < 0:
            raise ValueError(f"Expected `warmup_steps` of at least 0 but got {warmup_steps}; 0 is no warm-up")
        if warmup_steps and eps_schedule is not None:
            raise ValueError("Expected `warmup_steps` or `eps_schedule` but got both; the latter can do what both do")
        if warmup_steps:
            eps_schedule = Schedule(end=1.0, start=0.0, steps=warmup_steps)
        check_schedules(attack, eps_schedule, steps_schedule)
        self.attack = attack
        self.image_key = image_key
        self.mode = mode
        self.every_n_batches = every_n_batches
        self.eps_schedule = eps_schedule
        self.steps_schedule = steps_schedule
        self.generator = torch.Generator().manual_seed(seed)
        self.batches_seen = 0
        self._undo: Callable[[], None] | None = None

    @property
    def state_key(self) -> str:
        """Distinguishes two of these in one Trainer."""
        return self._generate_state_key(image_key=self.image_key, mode=self.mode.name)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Fail before any data is read if the module cannot be attacked."""
        if stage == "fit":
            self.mode.check(pl_module, self.attack)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The checkpoint is loaded, the first batch not yet."""
        self.mode.start(trainer, self.image_key)
        if self.mode.adds_loss:
            self._undo = add_to_loss(pl_module, lambda: self.mode.added_loss(pl_module))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Replace the pictures."""
        self.mode.release()
        number = self.batches_seen
        self.batches_seen += 1
        if number % self.every_n_batches:
            return
        turn = Turn(
            trainer=trainer,
            pl_module=pl_module,
            batch=batch,
            batch_idx=batch_idx,
            number=number,
            image_key=self.image_key,
            images=read_images(batch, self.image_key, casts_batches(pl_module)),
            dtype=half_dtype(batch, self.image_key),
            attack=scheduled(self.attack, self.eps_schedule, self.steps_schedule, trainer.global_step),
            threat=self.attack.perturbation,
            generator=self.generator,
        )
        loss = self.mode.before_step(turn)
        if loss is not None:
            pl_module.log("train/adversarial/attack_loss", loss.mean(), batch_size=len(turn.images))

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The gradients are there."""
        self.mode.after_backward()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """The batch is through."""
        self.mode.release()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Clean up after a fit that came to its end."""
        self._stop(finished=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Clean up after one that did not; Lightning calls no `teardown` then."""
        self._stop(finished=False)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the module as it was."""
        if stage == "fit":
            self._stop(finished=False)

    def _stop(self, finished: bool) -> None:
        self.mode.release()
        self.mode.stop(finished)
        if self._undo is not None:
            self._undo()
            self._undo = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on with the same random stream."""
        state = {"generator": self.generator.get_state(), "batches_seen": self.batches_seen}
        own = self.mode.state_dict()
        return {**state, "mode": own} if own else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self.generator.set_state(state_dict["generator"])
        self.batches_seen = state_dict["batches_seen"]
        if own := state_dict.get("mode"):
            self.mode.load_state_dict(own)


def add_to_loss(pl_module: LightningModule, term: Callable[[], Any]) -> Callable[[], None]:
    """Add a term to the loss that ``training_step`` returns; returns what takes it back.

    The method is wrapped on the instance. Strategies look it up there and call it inside their own wrapper's forward,
    so that DDP sees one loss and one backward pass, the term is under the step's precision, and Lightning divides it by
    the number of accumulated batches and scales it like the rest. A second backward pass in a hook would have none of
    this.

    Args:
        pl_module: the module.
        term: the term, a scalar tensor with a graph, or None for none.

    Raises:
        ValueError: if the training step fetches its batches itself, or has been added to before.
    """
    if "dataloader_iter" in inspect.signature(pl_module.training_step).parameters:
        raise ValueError("Expected `training_step(batch, batch_idx)` but it takes `dataloader_iter`; take the batch")
    before = vars(pl_module).get("training_step")  # one that torch.compile or a user has put there
    if hasattr(before, "adds_to_loss"):
        raise ValueError("Expected one callback a module that adds to the loss but got two; leave one out")
    step = pl_module.training_step

    @functools.wraps(step)
    def training_step(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Lightning's own union
        output = step(*args, **kwargs)
        extra = None if output is None else term()
        if extra is None:
            return output
        if isinstance(output, Mapping):
            return {**output, "loss": output["loss"] + extra}
        return output + extra

    def undo() -> None:
        if before is None:
            vars(pl_module).pop("training_step", None)
        else:
            vars(pl_module)["training_step"] = before

    training_step.adds_to_loss = True  # type: ignore[attr-defined]
    vars(pl_module)["training_step"] = training_step
    return undo
