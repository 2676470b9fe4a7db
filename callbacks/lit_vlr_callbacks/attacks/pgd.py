"""Projected gradient ascent."""

from __future__ import annotations

import copy
from typing import Self

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_vlr_callbacks.attacks.base import (
    Attack,
    AttackResult,
    LossFn,
    Worst,
    per_sample_loss,
    pictures,
    private_generator,
)
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.perturbations.base import Params, Perturbation


class PGD(Attack):
    """Projected gradient ascent over any differentiable perturbation, all samples at once.

    Each step moves every parameter by ``step_size`` times half its range in the direction of the gradient's sign, and
    projects. Gradients come from `torch.autograd.grad`, so nothing accumulates in ``.grad``. Entries of the gradient
    that are not finite count as zero, with one warning.

    Args:
        perturbation: what may happen to the picture.
        steps: gradient steps a restart.
        step_size: fraction of half the range (for `Linf`: of eps) a step moves; None takes ``default_step_size``.
        restarts: independent searches, of which each sample keeps its worst. Semantic perturbations gain more from
            restarts than from steps.
        random_start: start anywhere in the range; False starts the first restart at the identity.
        momentum: factor on the accumulated gradient, as in MI-FGSM; 0 is plain PGD.
        keep_best: return each sample's worst iterate, the last one included, at the cost of one more forward pass.
            False returns the last iterate unseen, which is what training wants; ``loss`` is then that of the iterate
            before it.
        success_loss: a sample counts as broken when its loss exceeds this.

    Raises:
        ValueError: if a count is below 1, the momentum is outside [0, 1), the perturbation has no usable gradients,
            or restarts are to be compared with ``keep_best=False``.

    Reference:
        Madry et al., arXiv 1706.06083, section 2.1; momentum: Dong et al., arXiv 1710.06081, algorithm 1.
    """

    uses_gradient = True

    def __init__(
        self,
        perturbation: Perturbation,
        steps: int = 3,
        step_size: float | None = None,
        restarts: int = 1,
        random_start: bool = True,
        momentum: float = 0.0,
        keep_best: bool = True,
        success_loss: float | None = None,
    ) -> None:
        super().__init__(perturbation, success_loss)
        if steps < 1 or restarts < 1:
            raise ValueError(f"Expected `steps` and `restarts` of at least 1 but got {steps} and {restarts}")
        if step_size is not None and not step_size > 0:
            raise ValueError(f"Expected `step_size` above 0 but got {step_size}; it is a fraction of half the range")
        if not 0 <= momentum < 1:
            raise ValueError(f"Expected `momentum` in [0, 1) but got {momentum}")
        if not perturbation.differentiable:
            raise ValueError(f"Expected usable gradients but {perturbation} has none; use RandomSearch")
        if restarts > 1 and not keep_best:
            raise ValueError("Expected `keep_best=True` with restarts: choosing among them needs their losses")
        self.steps = steps
        self.step_size = step_size
        self.restarts = restarts
        self.random_start = random_start
        self.momentum = momentum
        self.keep_best = keep_best
        self.start: Params | None = None
        self._warned: set[str] = set()  # shared with scaled copies: one warning an attack

    @property
    def default_step_size(self) -> float:
        """Fraction of half the range a step moves where ``step_size`` is None."""
        if self.steps == 1:
            # FGSM reaches the corner; FGSM-RS overshoots to get there from its random start (arXiv 2001.03994).
            return 1.25 if self.random_start else 1.0
        # Tuned on a digits classifier for Linf, semantic and composed ranges and 3 to 10 steps: the loss is flat around
        # a total way of 3 half-ranges and falls off below 2.
        return 3.0 / self.steps

    def one_step(self) -> Attack:
        """The same attack with ``steps=1``."""
        other = copy.copy(self)
        other.steps = 1
        return other

    def starting_at(self, params: Params) -> Self:
        """The same attack with its first restart starting at ``params``, {name: (B, ...)}."""
        other = copy.copy(self)
        other.start = params
        return other

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`.

        Raises:
            ValueError: if the loss is not per sample, or does not depend on the pictures.
        """
        images = pictures(images)
        generator = private_generator(generator)
        counted = CountedLoss.of(loss_fn, images)
        size = self.default_step_size if self.step_size is None else self.step_size
        worst = Worst()
        for restart in range(self.restarts):
            params = self._start(restart, images, generator)
            direction = {name: torch.zeros_like(value) for name, value in params.items()}
            for _ in range(self.steps):
                loss, gradient = self._gradient(counted, images, params)
                if self.keep_best:
                    worst.update(params, loss)
                direction = {name: self._accumulate(direction[name], gradient[name]) for name in params}
                params = self.perturbation.project(self.perturbation.ascend(params, direction, size), images)
            if self.keep_best:
                worst.update(params, self._evaluate(counted, images, params))
            else:
                worst.params, worst.loss = params, loss
        return self._result(images, worst.params, worst.loss, counted.passes, worst.trace)

    def _start(self, restart: int, images: Tensor, generator: torch.Generator) -> Params:
        if restart == 0 and self.start is not None:
            return self.perturbation.project(self.start, images)
        if restart == 0 and not self.random_start:
            return self._neutral(images)
        return self._draw(images, generator)

    def _accumulate(self, direction: Tensor, gradient: Tensor) -> Tensor:
        if self.momentum == 0:
            return gradient
        size = gradient.abs().flatten(1).mean(1) if gradient.dim() > 1 else gradient.abs()
        size = size.clamp_min(torch.finfo(gradient.dtype).tiny).view(-1, *(1,) * (gradient.dim() - 1))
        return self.momentum * direction + gradient / size

    def _gradient(self, loss_fn: LossFn, images: Tensor, params: Params) -> tuple[Tensor, Params]:
        with torch.enable_grad():
            leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
            loss = per_sample_loss(loss_fn, self.perturbation.apply(images, leaves))
            # The sum, not the mean: samples are independent, and a mean only makes gradients smaller.
            gradients = (
                torch.autograd.grad(loss.sum(), list(leaves.values()), allow_unused=True)
                if loss.requires_grad
                else [None] * len(leaves)
            )
        found: Params = {}
        for name, gradient in zip(leaves, gradients, strict=True):
            if gradient is None:
                raise ValueError(
                    "Expected an attack loss that depends on the images but it has no gradient to them; compute it "
                    "from the `images` argument, not from the batch, and without detach() or no_grad()"
                )
            found[name] = self._finite(gradient)
        return loss.detach(), found

    def _finite(self, gradient: Tensor) -> Tensor:
        if not gradient.isfinite().all() and "finite" not in self._warned:
            self._warned.add("finite")
            rank_zero_warn(
                "The attack met gradients that are not finite and counts them as zero: its result is weaker than it "
                "looks. Look for overflow in the loss, or attack in float32."
            )
        return gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
