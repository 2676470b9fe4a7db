"""What every attack has: a perturbation to search over, and a result."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeAlias

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation

LossFn: TypeAlias = Callable[[Tensor], Tensor]
"""Pictures (B, C, H, W) in [0, 1] to the loss of each, (B,); higher is worse for the model."""


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack found.

    Attributes:
        images: the attacked pictures, (B, C, H, W) in [0, 1], without a graph.
        params: the parameters that made them, {name: (B, ...)}.
        loss: the loss of each picture, (B,); see the attack for whether it is that of ``images`` itself.
        steps: how often the loss of each sample was evaluated: the cost in forward passes.
        success: whether ``loss`` exceeds the attack's ``success_loss``, (B,) bool; None where none was set.
    """

    images: Tensor
    params: Params
    loss: Tensor
    steps: int
    success: Tensor | None


def per_sample_loss(loss_fn: LossFn, images: Tensor) -> Tensor:
    """Evaluate ``loss_fn`` and check that it answers for each sample.

    Returns:
        (B,) float32 (or float64).

    Raises:
        ValueError: if the loss does not have shape (B,).
    """
    loss = loss_fn(images)
    if not isinstance(loss, Tensor) or loss.shape != images.shape[:1]:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(
            f"Expected an attack loss per sample of shape ({len(images)},) but got {got}; "
            "return it unreduced (reduction='none', then the mean over all but the first dimension)"
        )
    return loss if loss.dtype == torch.float64 else loss.float()


class Attack(ABC):
    """A search for the parameters of a perturbation that raise a loss most.

    Args:
        perturbation: what may happen to the picture.
        success_loss: a sample counts as broken when its loss exceeds this; None leaves ``success`` out.

    Attributes:
        uses_gradient: whether the search differentiates the loss.
    """

    uses_gradient: bool = False

    def __init__(self, perturbation: Perturbation, success_loss: float | None = None) -> None:
        self.perturbation = perturbation
        self.success_loss = success_loss

    @abstractmethod
    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search.

        Args:
            loss_fn: pictures (B, C, H, W) to losses (B,).
            images: the pictures to start from, (B, C, H, W), float32 in [0, 1].
            generator: source of randomness, on the CPU for a result that does not depend on the device. None means
                a fresh one with seed 0: the global random state is never used.
        """

    def scaled(self, fraction: float) -> Self:
        """The same attack with its perturbation's range shrunk towards the identity by ``fraction`` in [0, 1]."""
        other = copy.copy(self)
        other.perturbation = self.perturbation.scaled(fraction)
        return other

    def one_step(self) -> Attack | None:
        """The same attack with one step a restart, for checks; None where there is no such thing."""
        return None

    def _draw(self, images: Tensor, generator: torch.Generator) -> Params:
        """A random feasible start."""
        params = self.perturbation.sample(len(images), generator, image_shape=tuple(images.shape[1:]))
        return self.perturbation.project({name: value.to(images) for name, value in params.items()}, images)

    def _neutral(self, images: Tensor) -> Params:
        """The identity as a start."""
        params = self.perturbation.neutral(len(images), image_shape=tuple(images.shape[1:]))
        return {name: value.to(images) for name, value in params.items()}

    @torch.no_grad()
    def _evaluate(self, loss_fn: LossFn, images: Tensor, params: Params) -> Tensor:
        return per_sample_loss(loss_fn, self.perturbation.apply(images, params))

    @torch.no_grad()
    def _result(self, images: Tensor, params: Params, loss: Tensor, steps: int) -> AttackResult:
        success = None if self.success_loss is None else loss > self.success_loss
        return AttackResult(self.perturbation.apply(images, params), params, loss, steps, success)


class Worst:
    """The parameters with the highest loss seen so far, for each sample.

    Attributes:
        params: {name: (B, ...)}.
        loss: (B,).
    """

    def __init__(self) -> None:
        self.params: Params = {}
        self.loss = torch.empty(0)

    def update(self, params: Params, loss: Tensor) -> None:
        """Keep ``params`` for the samples that have a higher ``loss`` (B,) there."""
        if not self.params:
            self.params, self.loss = dict(params), loss.detach()
            return
        # A loss that was NaN is beaten by any number.
        better = (loss > self.loss) | (self.loss.isnan() & ~loss.isnan())
        for name, value in params.items():
            mask = better.view(-1, *(1,) * (value.dim() - 1))
            self.params[name] = torch.where(mask, value, self.params[name])
        self.loss = torch.where(better, loss.detach(), self.loss)


def private_generator(generator: torch.Generator | None) -> torch.Generator:
    """The given generator, or a fresh one with seed 0; never the global one."""
    return torch.Generator().manual_seed(0) if generator is None else generator
