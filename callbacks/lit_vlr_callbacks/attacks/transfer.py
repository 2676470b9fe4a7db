"""Attacks that are found on one model and judged on another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.around import Around
from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn, per_sample_loss, pictures
from lit_vlr_callbacks.attacks.rows import CountedLoss


class Transfer(Around):
    """Search on a surrogate's loss, judge on the victim's: an attacker who cannot look into the model.

    The result's ``loss`` and ``success`` are the victim's. Its ``passes`` are those of the surrogate, and one of the
    victim; its ``trace`` is the surrogate's.

    Args:
        search: the attack, run on the surrogate.
        surrogate: makes the surrogate's loss out of the victim's, for the same samples: `SurrogateLoss` for a
            LightningModule, or a function that ignores its argument.
        success_loss: a sample counts as broken when the *victim's* loss exceeds this.

    Reference:
        Papernot et al., arXiv 1605.07277, section 2.

    >>> from lit_vlr_callbacks.attacks import FGSM
    >>> from lit_vlr_callbacks.perturbations import Linf
    >>> attack = Transfer(FGSM(Linf(0.25)), lambda victim: lambda images: -images.flatten(1).sum(1))
    >>> attack.attack(lambda images: images.flatten(1).mean(1), torch.full((1, 3, 2, 2), 0.5)).loss
    tensor([0.2500])
    """

    def __init__(
        self, search: Attack, surrogate: Callable[[LossFn], LossFn], success_loss: float | None = None
    ) -> None:
        super().__init__(search, success_loss)
        self.surrogate = surrogate

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`."""
        images = pictures(images)
        found = self.search.attack(self.surrogate(loss_fn), images, generator=generator)
        counted = CountedLoss.of(loss_fn, images, found.passes.clone())
        with torch.no_grad():
            loss = per_sample_loss(counted, found.images)
        trace = None if found.trace is None else list(found.trace)
        return self._result(images, found.params, loss, counted.passes, trace)
