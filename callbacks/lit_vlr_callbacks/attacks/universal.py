"""One perturbation for all pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn, pictures, private_generator
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.perturbations.base import Params, Perturbation


class Universal(PGD):
    """A single perturbation, fitted to raise the loss on many pictures, then applied to any.

    `fit` runs projected gradient ascent over mini-batches, all samples of which share the parameters; each step follows
    the gradient of the batch's summed loss. The loss of a sample counts up to ``clip`` only, or the ascent would spend
    itself on those that are broken already. Steps shrink linearly from epoch to epoch. `attack` applies what was
    fitted, at the cost of one model pass.

    Pictures are not known beforehand, so the parameters are projected on the range alone; `Perturbation.apply` clips
    each picture to [0, 1].

    Args:
        perturbation: what may happen to every picture.
        epochs: how often `fit` goes through the batches.
        step_size: fraction of half the range that a step of the first epoch moves.
        clip: the most that a sample's loss counts for; None is no bound.
        random_start: start anywhere in the range; False starts at the identity.
        success_loss: a sample counts as broken when its loss exceeds this.

    Attributes:
        fitted: the parameters, {name: (1, ...)}; None before `fit`.
        trace: mean loss of each mini-batch before the step that it led to.

    Raises:
        ValueError: if a number is out of its range, or the perturbation has no usable gradients.

    Reference:
        Moosavi-Dezfooli et al., arXiv 1610.08401; by projected gradients, with a clipped loss: Shafahi et al., arXiv
        1811.11304, section 3 and algorithm 2.
    """

    uses_gradient = False  # `attack` applies what `fit` has found

    def __init__(
        self,
        perturbation: Perturbation,
        epochs: int = 5,
        step_size: float = 0.25,
        clip: float | None = None,
        random_start: bool = False,
        success_loss: float | None = None,
    ) -> None:
        super().__init__(
            perturbation, steps=1, step_size=step_size, random_start=random_start, success_loss=success_loss
        )
        if epochs < 1:
            raise ValueError(f"Expected `epochs` of at least 1 but got {epochs}")
        self.epochs = epochs
        self.clip = torch.inf if clip is None else clip
        self.fitted: Params | None = None
        self.trace: list[float] = []

    def fit(self, batches: Iterable[tuple[LossFn, Tensor]], *, generator: torch.Generator | None = None) -> Self:
        """Find the parameters.

        Args:
            batches: the loss of each mini-batch and its pictures, (B, C, H, W) in [0, 1], all of one size; gone
                through once an epoch, so not an iterator. `IsolatedBatches` makes them of a module and a loader.
            generator: source of the random start.

        Returns:
            Itself, fitted.

        Raises:
            ValueError: if there are no batches in an epoch.
        """
        generator = private_generator(generator)
        params: Params | None = None
        self.trace = []
        assert self.step_size is not None
        for epoch in range(self.epochs):
            size = self.step_size * (1 - epoch / self.epochs)
            before = len(self.trace)
            for loss_fn, images in batches:
                images = pictures(images)
                params = self._first(images, generator) if params is None else params
                loss, gradient = self._gradient(self._clipped(loss_fn), images, _shared(params, len(images)))
                total = {name: value.sum(0, keepdim=True) for name, value in gradient.items()}
                params = self.perturbation.project(self.perturbation.ascend(params, total, size))
                self.trace.append(float(loss.mean()))
            if len(self.trace) == before:
                raise ValueError("Expected batches to go through in every epoch but got none; pass a list or a loader")
        self.fitted = params
        return self

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Apply what was fitted; see `Attack.attack`.

        Raises:
            ValueError: before `fit`.
        """
        if self.fitted is None:
            raise ValueError("Expected a fitted universal perturbation but there is none; call `fit` first")
        images = pictures(images)
        counted = CountedLoss.of(loss_fn, images)
        fitted = self.perturbation.project({name: value.to(images) for name, value in self.fitted.items()})
        params = _shared(fitted, len(images))
        return self._result(images, params, self._evaluate(counted, images, params), counted.passes)

    def one_step(self) -> Attack:
        """Itself: what is fitted is applied in one step."""
        return self

    def starting_at(self, params: Params) -> Self:
        """Not possible.

        Raises:
            TypeError: always.
        """
        raise TypeError("Expected an attack that goes on from a start but Universal applies what was fitted; use APGD")

    def _first(self, images: Tensor, generator: torch.Generator) -> Params:
        """Parameters for one picture, to be shared."""
        one = images[:1]
        if not self.random_start:
            return self._neutral(one)
        drawn = self.perturbation.sample(1, generator, image_shape=tuple(one.shape[1:]))
        return {name: value.to(one) for name, value in drawn.items()}

    def _clipped(self, loss_fn: LossFn) -> LossFn:
        return lambda images: loss_fn(images).clamp(max=self.clip)


def _shared(params: Params, n: int) -> Params:
    """One picture's parameters for n pictures."""
    return {name: value.expand(n, *value.shape[1:]) for name, value in params.items()}
