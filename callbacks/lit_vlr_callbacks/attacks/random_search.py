"""The gradient-free baseline."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn, Worst, pictures, private_generator
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.perturbations.base import Perturbation


class RandomSearch(Attack):
    """The worst of ``samples`` uniform draws, for each sample.

    Every attack with gradients has to beat it at equal cost, or its gradients are masked; and it is the one to use
    where a perturbation has no usable gradients.

    Args:
        perturbation: what may happen to the picture.
        samples: draws, each one forward pass.
        success_loss: a sample counts as broken when its loss exceeds this.

    Raises:
        ValueError: if ``samples`` is below 1.
    """

    def __init__(self, perturbation: Perturbation, samples: int = 10, success_loss: float | None = None) -> None:
        super().__init__(perturbation, success_loss)
        if samples < 1:
            raise ValueError(f"Expected `samples` of at least 1 but got {samples}")
        self.samples = samples

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`."""
        images = pictures(images)
        generator = private_generator(generator)
        counted = CountedLoss.of(loss_fn, images)
        worst = Worst()
        for _ in range(self.samples):
            params = self._draw(images, generator)
            worst.update(params, self._evaluate(counted, images, params))
        return self._result(images, worst.params, worst.loss, counted.passes, worst.trace)
