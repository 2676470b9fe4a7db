"""Attacks that go on where they ended an epoch ago."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.isolation import attack_batch
from lit_vlr_callbacks.perturbations.base import Params
from lit_vlr_callbacks.training.base import Mode, Turn
from lit_vlr_callbacks.training.memory import SampleMemory


class Warm(Mode):
    """`Standard`, each sample's search starting from what its search found in the epoch before.

    One or two steps an epoch then do the work of many, as long as pictures are met again and are not augmented
    otherwise each time. A sample that is met for the first time starts where the attack would start it. See
    `SampleMemory` for the file and its size.

    Args:
        index_key: name or index of the batch entry with an integer or a text for each sample, the same in each epoch.
        max_gigabytes: bound on the file.
        keep_file: keep the file of a finished fit, to resume it with more epochs.

    Reference:
        Zheng et al., Efficient Adversarial Training with Transferable Adversarial Examples, arXiv 1912.11969, section
        3.
    """

    name = "warm"

    def __init__(self, index_key: int | str = "index", max_gigabytes: float = 4.0, keep_file: bool = False) -> None:
        self.memory = SampleMemory(index_key, max_gigabytes, keep_file)

    def check(self, pl_module: LightningModule, attack: Attack) -> None:
        """As `Mode.check`: a search that can start where it is told, and only once."""
        super().check(pl_module, attack)
        if not isinstance(attack, PGD) or attack.restarts > 1:
            raise ValueError(
                f"Expected `attack` as PGD or FGSM without restarts in mode 'warm' but got {type(attack).__name__}"
                f"{' with restarts' * isinstance(attack, PGD)}; other searches have no start to be given"
            )

    def start(self, trainer: Trainer, image_key: int | str) -> None:
        """Find the file."""
        self.memory.start(trainer, f"{self.name}-{image_key}")

    def before_step(self, turn: Turn) -> Tensor:
        """Attack the batch from where its samples were left, and leave them where it got."""
        attack = turn.attack
        assert isinstance(attack, PGD)
        attack = attack.starting_at(self._start(turn, attack))
        result = attack_batch(turn.pl_module, turn.batch, attack, turn.image_key, turn.generator)
        self.memory.write(turn, result.params)
        turn.write(result.images)
        return result.loss

    def _start(self, turn: Turn, attack: PGD) -> Params:
        """What the samples' last searches found; where there was none, where the attack would start."""
        n, shape = len(turn.images), tuple(turn.images.shape[1:])
        # Drawn for all, so that the stream does not depend on who is known.
        fresh = (
            attack.perturbation.sample(n, turn.generator, image_shape=shape)
            if attack.random_start
            else attack.perturbation.neutral(n, image_shape=shape)
        )
        found, known = self.memory.read(turn)
        return {
            name: torch.where(known.view(-1, *(1,) * (value.dim() - 1)), value, fresh[name].to(value))
            for name, value in found.items()
        }

    def stop(self, finished: bool) -> None:
        """Close the file."""
        self.memory.stop(finished)

    def state_dict(self) -> dict[str, Any]:
        """Which file is meant."""
        return self.memory.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with that file."""
        self.memory.load_state_dict(state)
