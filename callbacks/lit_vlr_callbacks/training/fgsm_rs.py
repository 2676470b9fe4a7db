"""Fast adversarial training, with an eye on catastrophic overfitting."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, per_sample_loss
from lit_vlr_callbacks.attacks.fgsm import FGSM
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.batch import ordinary, read_images
from lit_vlr_callbacks.isolation import isolated_loss
from lit_vlr_callbacks.training.base import Turn
from lit_vlr_callbacks.training.standard import Standard


class FGSMRS(Standard):
    """`Standard` with one step from a random start, which is as good as PGD until, sometimes, it collapses.

    In *catastrophic overfitting* the model learns to defeat that one step within a few batches and falls to every
    stronger attack, while the loss that is trained on looks better than ever. So a few batches are watched: PGD on the
    batch's own clean pictures, beside FGSM-RS. Logged as ``train/adversarial/fgsm_loss`` and
    ``train/adversarial/pgd_loss``; one warning where the latter exceeds ``watch_ratio`` times the former. Watching
    draws from a random stream of its own and changes no training.

    An undefended model shows ratios of 2 to 3, an overfitted one of 10 and more. Where both losses are near 0 the ratio
    means little: look at the logged values.

    Args:
        watch_every: of the attacked batches, the first of each so many is watched.
        watch_steps: steps of the PGD it is watched with; 50 and 5 add about a tenth of a clean step to each step.
        watch_ratio: PGD loss over FGSM-RS loss that is warned of.

    Raises:
        ValueError: if a count is below 1, or the ratio not above 1.

    Reference:
        Wong et al., Fast is better than free, arXiv 2001.03994, algorithm 3 and section 5.
    """

    name = "fgsm_rs"

    def __init__(self, watch_every: int = 50, watch_steps: int = 5, watch_ratio: float = 4.0) -> None:
        if watch_every < 1 or watch_steps < 1:
            raise ValueError(
                f"Expected `watch_every` and `watch_steps` of at least 1 but got {watch_every} and {watch_steps}; to "
                "watch less, raise `watch_every`"
            )
        if not watch_ratio > 1:
            raise ValueError(f"Expected `watch_ratio` above 1 but got {watch_ratio}; PGD is the stronger attack")
        self.watch_every = watch_every
        self.watch_steps = watch_steps
        self.watch_ratio = watch_ratio
        self.turns = 0
        self._warned = False

    def check(self, pl_module: LightningModule, attack: Attack) -> None:
        """As `Mode.check`: FGSM from a random start only."""
        super().check(pl_module, attack)
        if not (isinstance(attack, FGSM) and attack.random_start):
            raise ValueError(
                f"Expected `attack` as FGSM with `random_start: true` in mode 'fgsm_rs' but got {type(attack).__name__}"
                f"{' without' * isinstance(attack, FGSM)}; for other attacks use mode 'standard'"
            )

    def before_step(self, turn: Turn) -> Tensor:
        """Attack the batch, and watch if it is time."""
        watched = self.turns % self.watch_every == 0
        self.turns += 1
        loss = super().before_step(turn)
        if watched:
            self._watch(turn, read_images(turn.batch, turn.image_key, half=True))
        return loss

    def _watch(self, turn: Turn, attacked: Tensor) -> None:
        pgd = PGD(turn.attack.perturbation, steps=self.watch_steps)
        generator = torch.Generator().manual_seed(turn.number)
        with isolated_loss(turn.pl_module, turn.batch, turn.images.device, image_key=turn.image_key) as loss_fn:
            with torch.no_grad():
                weak = float(per_sample_loss(loss_fn, attacked).mean())
            strong = float(pgd.attack(loss_fn, ordinary(turn.images), generator=generator).loss.mean())
        losses = {"train/adversarial/fgsm_loss": weak, "train/adversarial/pgd_loss": strong}
        turn.pl_module.log_dict(losses, batch_size=len(turn.images))
        if strong > self.watch_ratio * weak and not self._warned:
            self._warned = True
            rank_zero_warn(
                f"Catastrophic overfitting? At batch {turn.number} the loss is {weak:.3g} under FGSM-RS but "
                f"{strong:.3g} under PGD with {self.watch_steps} steps: the model may have learnt to defeat one step "
                "only. Lower `step_size` or eps, or train with PGD; said once, see train/adversarial/pgd_loss"
            )

    def state_dict(self) -> dict[str, Any]:
        """When the next batch is watched."""
        return {"turns": self.turns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self.turns = state["turns"]
