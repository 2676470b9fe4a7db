"""What every attack has: a perturbation to search over, and a result."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation

LossFn: TypeAlias = Callable[[Tensor], Tensor]
"""Pictures (B, C, H, W) in [0, 1] to the loss of each, (B,); higher is worse for the model.

Where it also has ``rows(index)``, attacks leave out of the batch what they are done with; see `attacks.rows`.
"""


def _unsaid() -> Tensor:
    return torch.empty(0, dtype=torch.long)


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack found.

    Attributes:
        images: the attacked pictures, (B, C, H, W) in [0, 1], without a graph.
        params: the parameters that made them, {name: (B, ...)}.
        loss: the loss of each picture, (B,); see the attack for whether it is that of ``images`` itself.
        steps: the most model passes that were spent on a sample.
        success: whether ``loss`` exceeds the attack's ``success_loss``, (B,) bool; None where none was set.
        passes: the model passes spent on each sample, (B,) int64: how often its picture went through the model,
            together with the backward pass if a gradient was taken. Left out, it is ``steps`` for each.
        trace: the highest loss so far after each evaluation, (T, B); None where the attack does not look for it.
    """

    images: Tensor
    params: Params
    loss: Tensor
    steps: int
    success: Tensor | None
    passes: Tensor = field(default_factory=_unsaid)
    trace: Tensor | None = None

    def __post_init__(self) -> None:
        """Fill in what an attack that treats all samples alike need not say."""
        if not len(self.passes):
            object.__setattr__(self, "passes", torch.full_like(self.loss, self.steps, dtype=torch.long))

    @property
    def total_passes(self) -> int:
        """Model passes spent on the whole batch, counted by sample."""
        return int(self.passes.sum())


def pictures(images: Tensor) -> Tensor:
    """Check that eps means what it says for these pictures.

    Returns:
        Themselves, (B, C, H, W), without a graph.

    Raises:
        TypeError: if they are not float32 or float64.
        ValueError: if they are not (B, C, H, W) in [0, 1].
    """
    if images.dtype not in (torch.float32, torch.float64):
        remedy = "images.float() / 255" if images.dtype == torch.uint8 else "them in float32 and cast inside the model"
        raise TypeError(f"Expected `images` as float32 in [0, 1] but got {images.dtype}; pass {remedy}")
    if images.dim() != 4:
        raise ValueError(f"Expected `images` of shape (B, C, H, W) but got {tuple(images.shape)}; add the missing axes")
    low, high = (float(bound) for bound in images.detach().aminmax()) if images.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # NaN fails too
        raise ValueError(
            f"Expected `images` in [0, 1] but got values from {low:.3g} to {high:.3g}; pass unnormalised pixels and "
            "normalise inside the model"
        )
    return images.detach()


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

    def starting_at(self, params: Params) -> Attack:
        """The same attack with its first search starting at ``params``, {name: (B, ...)}.

        Raises:
            TypeError: if the attack has no start to choose.
        """
        raise TypeError(f"Expected an attack that goes on from a start but {type(self).__name__} has none; use APGD")

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
    def _result(
        self, images: Tensor, params: Params, loss: Tensor, passes: Tensor, trace: list[Tensor] | None = None
    ) -> AttackResult:
        return AttackResult(
            images=self.perturbation.apply(images, params),
            params=params,
            loss=loss,
            steps=int(passes.max()) if len(passes) else 0,
            success=None if self.success_loss is None else loss > self.success_loss,
            passes=passes,
            trace=torch.stack(trace) if trace else None,
        )


class Worst:
    """The parameters with the highest loss seen so far, for each sample.

    Attributes:
        params: {name: (B, ...)}.
        loss: (B,).
        trace: the loss after each evaluation, (B,) each.
    """

    def __init__(self) -> None:
        self.params: Params = {}
        self.loss = torch.empty(0)
        self.trace: list[Tensor] = []

    def update(self, params: Params, loss: Tensor) -> None:
        """Keep ``params`` for the samples that have a higher ``loss`` (B,) there."""
        if not self.params:
            self.params, self.loss = dict(params), loss.detach()
        else:
            better = worse(loss, self.loss)
            self.params = {name: where(better, value, self.params[name]) for name, value in params.items()}
            self.loss = torch.where(better, loss.detach(), self.loss)
        self.trace.append(self.loss)

    def enter(self, params: Params, loss: Tensor, rows: Tensor) -> None:
        """The same for some samples, ``rows`` (n,), the first time for all; leaves no trace."""
        if not self.params:
            self.params, self.loss = dict(params), loss
            return
        better = worse(loss, self.loss[rows])
        rows = rows[better]
        self.params = {name: self.params[name].index_copy(0, rows, value[better]) for name, value in params.items()}
        self.loss = self.loss.index_copy(0, rows, loss[better])

    def note(self, loss: Tensor, rows: Tensor) -> None:
        """Go on with the trace: the highest losses (n,) of the samples ``rows`` (n,); the others stay as they were."""
        so_far = self.trace[-1] if self.trace else torch.full_like(loss, -torch.inf)
        self.trace.append(so_far.index_copy(0, rows, so_far[rows].fmax(loss)))


def worse(loss: Tensor, than: Tensor) -> Tensor:
    """Where a loss is higher, (B,) bool; one that was NaN is beaten by any number."""
    return (loss > than) | (than.isnan() & ~loss.isnan())


def where(mask: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """``chosen`` (B, ...) for the samples of ``mask`` (B,), ``other`` for the rest."""
    return torch.where(mask.view(-1, *(1,) * (chosen.dim() - 1)), chosen, other)


def private_generator(generator: torch.Generator | None) -> torch.Generator:
    """The given generator, or a fresh one with seed 0; never the global one."""
    return torch.Generator().manual_seed(0) if generator is None else generator
