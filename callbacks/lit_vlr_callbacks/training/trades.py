"""TRADES: accuracy on the clean pictures, and the same answer on the attacked ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lit_vlr_callbacks.attacks.base import Attack
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.batch import ordinary
from lit_vlr_callbacks.divergence import divergence
from lit_vlr_callbacks.isolation import forked_random_state, isolated_logits, require_logits
from lit_vlr_callbacks.protocols import Logits
from lit_vlr_callbacks.training.base import Mode, Turn


class TRADES(Mode):
    """Train on the clean loss plus β · KL(p(x) ‖ p(x')), x' being the picture that maximises that divergence.

    min_θ E[ L(x, y) + β max_{x'} KL(p_θ(x) ‖ p_θ(x')) ]: the paper's φ/λ with β = 1/λ. The module's own training step
    sees the clean batch and gives L, whatever it is; the divergence, a mean over rows, is added to what it returns.
    Gradients flow through both p(x) and p(x').

    The search runs with batch norm and dropout in eval mode; the two passes of the added term run in the modes of the
    training step and share their dropout masks, so that only the picture tells them apart. They leave batch norm's
    running statistics alone, which the paper's code updates. Costs two forward and backward passes beside the search.

    Logs ``train/adversarial/divergence``.

    Args:
        beta: weight of the divergence; the paper uses 1 to 6.

    Raises:
        ValueError: if ``beta`` is negative.

    Reference:
        Zhang et al., arXiv 1901.08573, equation 5 and algorithm 1.
    """

    name = "trades"
    adds_loss = True

    def __init__(self, beta: float = 6.0) -> None:
        if not beta >= 0:
            raise ValueError(f"Expected `beta` of at least 0 but got {beta}; it weighs the divergence")
        self.beta = beta
        self._pair: tuple[Turn, Tensor] | None = None  # the batch in progress, and its attacked pictures

    def check(self, pl_module: LightningModule, attack: Attack) -> None:
        """As `Mode.check`: needs ``attack_logits``, a loss that can be added to, and a search that can leave x."""
        require_logits(pl_module)
        if not pl_module.automatic_optimization:
            raise ValueError(
                "Expected automatic optimisation in mode 'trades', which adds to the loss that training_step returns; "
                "set `automatic_optimization = True`, or add the divergence in the module"
            )
        if isinstance(attack, PGD) and not attack.random_start:
            raise ValueError(
                "Expected `random_start: true` in mode 'trades': the divergence has no gradient at the clean picture"
            )

    def before_step(self, turn: Turn) -> Tensor:
        """Search for the pictures that are answered most differently; the batch stays clean."""
        n = len(turn.images)
        with isolated_logits(turn.pl_module, turn.batch, turn.images.device, turn.image_key) as logits_fn:
            images = ordinary(turn.images)
            with torch.no_grad():
                clean = logits_fn(images)
            result = turn.attack.attack(
                lambda pictures: divergence(clean, logits_fn(pictures), n), images, generator=turn.generator
            )
        self._pair = (turn, result.images)
        return result.loss

    def added_loss(self, pl_module: LightningModule) -> Tensor | None:
        """β times the mean divergence of the batch."""
        if self._pair is None:
            return None
        turn, attacked = self._pair
        module = require_logits(pl_module)
        both: list[Logits] = []
        for pictures in (turn.images, attacked):
            # Both start from the same random state: the same dropout masks.
            with forked_random_state(turn.images.device), _running_statistics_kept(pl_module):
                both.append(module.attack_logits(turn.given(pictures), turn.batch))
        value = divergence(both[0], both[1], len(turn.images)).mean()
        pl_module.log("train/adversarial/divergence", value.detach(), batch_size=len(turn.images))
        return self.beta * value

    def release(self) -> None:
        """Let go of the batch."""
        self._pair = None


@contextmanager
def _running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Forward passes inside do not count for batch norm.

    The buffers are swapped for copies, not written back: autograd has saved the originals and would see a change.
    """
    kept = [
        (layer, name, buffer)
        for layer in module.modules()
        if isinstance(layer, _NormBase)
        for name, buffer in layer.named_buffers(recurse=False)
    ]
    try:
        for layer, name, buffer in kept:
            setattr(layer, name, buffer.clone())
        yield
    finally:
        for layer, name, buffer in kept:
            setattr(layer, name, buffer)
