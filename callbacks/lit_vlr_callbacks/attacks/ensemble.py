"""Several attacks one after the other, each on the samples that the ones before it did not break."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import (
    Attack,
    AttackResult,
    LossFn,
    Worst,
    per_sample_loss,
    pictures,
    private_generator,
    where,
    worse,
)
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.batch import select_rows
from lit_vlr_callbacks.perturbations.base import Params, Perturbation

CLEAN = -1
"""What `Ensemble` calls the stage that a sample's worst picture is from, as long as it is the clean one."""


class Stage:
    """One attack of an `Ensemble`: what searches, which loss it raises, and where it starts.

    Override `loss` and `applies` for losses that depend on the samples; see `lit_vlr.attacks`.

    Args:
        attack: the search.
        view: makes the loss to be raised out of the ensemble's, such as ``lambda loss: loss.using(dlr)`` of a
            `LogitsLoss`; None raises the ensemble's own. It is given the loss of the whole batch.
        from_worst: start where the stages before found the worst; the attack must have a start to choose.
    """

    def __init__(
        self, attack: Attack, view: Callable[[LossFn], LossFn] | None = None, from_worst: bool = False
    ) -> None:
        self.attack = attack
        self.view = view
        self.from_worst = from_worst

    def loss(self, loss_fn: LossFn, winner: Tensor) -> LossFn:
        """The loss that this stage raises.

        Args:
            loss_fn: what the ensemble was given, of the whole batch.
            winner: the number of the stage that each sample's worst picture is from, (B,), `CLEAN` for the clean one.
        """
        return loss_fn if self.view is None else self.view(loss_fn)

    def applies(self, loss_fn: LossFn, winner: Tensor) -> Tensor:
        """Which samples this stage is for, (B,) bool: all."""
        return torch.ones_like(winner, dtype=torch.bool)


class Ensemble(Attack):
    """A cascade: each stage attacks what is not broken yet, and each sample keeps its worst picture.

    Before the first stage, and after each, pictures are judged by one loss, the ensemble's own. A sample whose judged
    loss exceeds ``success_loss`` is broken: it leaves the batch, if the losses can be narrowed (`attacks.rows`), and
    costs nothing any more. A sample that is broken as it is is not attacked at all. ``passes`` of the result counts
    everything: judging, searching, and samples that could not leave.

    Of pictures that are judged alike an attacked one is preferred to the clean one, and an earlier to a later.

    Args:
        perturbation: what may happen to the picture; the stages' own ones must be equal to it.
        stages: the attacks in their order; an `Attack` by itself raises the loss that judges.
        success_loss: a sample is broken when the loss that judges it exceeds this: 0 for `margin`.
        judge: makes the loss that judges out of the one that is given; None takes that one. It need not be
            differentiable: one minus the accuracy of a generated answer will do. One call costs one model pass.

    Raises:
        ValueError: if there are no stages, or one may do something else to the picture.

    Reference:
        Croce and Hein, arXiv 2003.01690, section 6; Schlarmann et al., arXiv 2402.12336, appendix, for questions on
        pictures.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        stages: Sequence[Attack | Stage],
        success_loss: float,
        judge: Callable[[LossFn], LossFn] | None = None,
    ) -> None:
        super().__init__(perturbation, success_loss)
        if not stages:
            raise ValueError("Expected at least one stage but got none; leave the attack out instead")
        self.stages = [Stage(stage) if isinstance(stage, Attack) else stage for stage in stages]
        for number, stage in enumerate(self.stages):
            if _range(stage.attack.perturbation) != _range(perturbation):
                raise ValueError(
                    f"Expected stages over {perturbation} but stage {number} is over {stage.attack.perturbation}; "
                    "give all of them one perturbation"
                )
        self.judge = judge
        self.uses_gradient = any(stage.attack.uses_gradient for stage in self.stages)

    def scaled(self, fraction: float) -> Self:
        """The same cascade with every stage scaled."""
        other = super().scaled(fraction)
        other.stages = []
        for stage in self.stages:
            scaled = copy.copy(stage)
            scaled.attack = stage.attack.scaled(fraction)
            other.stages.append(scaled)
        return other

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`."""
        images = pictures(images)
        generator = private_generator(generator)
        judge = CountedLoss.of(loss_fn if self.judge is None else self.judge(loss_fn), images)
        worst = Worst()
        worst.update(self._neutral(images), _judged(judge, images))
        winner = torch.full_like(judge.charged, CLEAN)
        for number, stage in enumerate(self.stages):
            unbroken = ~(worst.loss > self._limit) & stage.applies(loss_fn, winner).to(winner.device)
            rows = unbroken.nonzero().flatten()
            if not len(rows):
                continue
            loss = CountedLoss.of(stage.loss(loss_fn, winner), images, judge.passes).rows(rows)
            attack = stage.attack
            if stage.from_worst:
                attack = attack.starting_at(select_rows(worst.params, rows, len(images)))
            found = attack.attack(loss, images[rows], generator=generator)
            value = _judged(judge.rows(rows), found.images)
            _keep(worst, winner, number, rows, found.params, value)
        return self._result(images, worst.params, worst.loss, judge.passes, worst.trace)

    @property
    def _limit(self) -> float:
        assert self.success_loss is not None
        return self.success_loss


def _keep(worst: Worst, winner: Tensor, number: int, rows: Tensor, params: Params, value: Tensor) -> None:
    """Enter what stage ``number`` found for the samples ``rows``."""
    better = worse(value, worst.loss[rows]) | ((winner[rows] == CLEAN) & (value == worst.loss[rows]))
    before = select_rows(worst.params, rows, len(winner))
    for name, found in params.items():
        worst.params[name] = worst.params[name].index_copy(0, rows, where(better, found, before[name]))
    worst.loss = worst.loss.index_copy(0, rows, torch.where(better, value, worst.loss[rows]))
    worst.trace.append(worst.loss)
    winner[rows[better]] = number


@torch.no_grad()
def _judged(judge: LossFn, images: Tensor) -> Tensor:
    return per_sample_loss(judge, images)


def _range(perturbation: Perturbation) -> tuple[object, ...]:
    return type(perturbation), perturbation.identity, perturbation.low, perturbation.high
