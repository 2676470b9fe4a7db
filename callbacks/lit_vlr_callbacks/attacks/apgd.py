"""Auto-PGD: projected gradient ascent that chooses its step size, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import AttackResult, LossFn, Worst, pictures, private_generator, where, worse
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.batch import select_rows
from lit_vlr_callbacks.perturbations.base import Params, Perturbation

_FIRST_FRACTION = 2.0  # of half the range: 2 eps
_NEWEST = 0.75  # weight of the new step against the last one (the paper's alpha)
_SUCCESSFUL = 0.75  # share of steps that have to raise the loss (the paper's rho)


@dataclass(frozen=True, eq=False)
class _Search:
    """Where the search of n samples stands; each entry has n rows.

    Attributes:
        rows: which samples of the batch these are.
        images: their clean pictures.
        params: where they are.
        before: where they were a step before.
        gradient: at ``params``.
        loss: at ``params``.
        best: the parameters with the highest loss of this restart.
        best_gradient: at ``best``.
        best_loss: at ``best``.
        fraction: step size, of half the range.
        rises: steps since the last checkpoint that raised the loss.
        checked_loss: ``best_loss`` at the last checkpoint.
        halved: whether the last checkpoint halved the step.
    """

    rows: Tensor
    images: Tensor
    params: Params
    before: Params
    gradient: Params
    loss: Tensor
    best: Params
    best_gradient: Params
    best_loss: Tensor
    fraction: Tensor
    rises: Tensor
    checked_loss: Tensor
    halved: Tensor


class APGD(PGD):
    """Auto-PGD over any differentiable perturbation: no step size to tune, each sample has its own.

    A step goes to the projected gradient step, weighted .75, and on in the last direction, weighted .25. The first
    step is 2 eps (twice half the range). At checkpoints, which lie ever closer, a sample's step is halved and the
    sample goes back to its best point, if fewer than 3/4 of its steps since the last checkpoint raised the loss, or if
    the step was not halved there and the best loss has not risen since.

    The loss is whatever ``loss_fn`` is: `LogitsLoss` with `cross_entropy` or `dlr` makes the paper's APGD-CE and
    APGD-DLR. Steps and momentum are taken in the perturbation's own parameters, so it is not bound to Lp balls.

    Args:
        perturbation: what may happen to the picture.
        steps: gradient steps a restart; each restart costs one model pass more.
        restarts: independent searches, of which each sample keeps its worst.
        random_start: start anywhere in the range; False starts the first restart at the identity.
        success_loss: a sample counts as broken when its loss exceeds this.
        early_stop: search a sample no further once it is broken. It leaves the batch where the loss can be narrowed
            (`attacks.rows`), and then costs nothing any more.

    Raises:
        ValueError: if a count is below 1, the perturbation has no usable gradients, or ``early_stop`` has no
            ``success_loss`` to stop at.

    Reference:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
        Attacks, arXiv 2003.01690, section 3 and algorithm 1. The paper's step size is in units of eps; here it is a
        fraction of half of each parameter's range, which for `Linf` is the same.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        steps: int = 10,
        restarts: int = 1,
        random_start: bool = True,
        success_loss: float | None = None,
        early_stop: bool = False,
    ) -> None:
        super().__init__(
            perturbation, steps=steps, restarts=restarts, random_start=random_start, success_loss=success_loss
        )
        if early_stop and success_loss is None:
            raise ValueError("Expected `success_loss` with `early_stop`: it says when a sample is broken")
        self.early_stop = early_stop

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`.

        Raises:
            ValueError: if the loss is not per sample, or does not depend on the pictures.
        """
        images = pictures(images)
        generator = private_generator(generator)
        counted = CountedLoss.of(loss_fn, images)
        worst = Worst()
        for restart in range(self.restarts):
            start = self._start(restart, images, generator)  # drawn for all, so that a broken sample moves no other's
            rows = counted.charged if restart == 0 else (~self._done(worst.loss)).nonzero().flatten()
            if len(rows):
                self._climb(counted.rows(rows), select_rows((start, images), rows, len(images)), rows, worst)
        return self._result(images, worst.params, worst.loss, counted.passes, worst.trace)

    def _climb(self, loss_fn: CountedLoss, start: tuple[Params, Tensor], rows: Tensor, worst: Worst) -> None:
        """One restart of the samples ``rows``; enters what it finds into ``worst``."""
        search = self._begin(loss_fn, *start, rows)
        worst.enter(search.best, search.best_loss, rows)
        worst.note(search.best_loss, rows)
        checkpoints = _checkpoints(self.steps)
        last = 0
        for step in range(1, self.steps + 1):
            done = self._done(search.best_loss)
            if done.any():
                n = len(done)
                left, going = done.nonzero().flatten(), (~done).nonzero().flatten()
                worst.enter(*select_rows((search.best, search.best_loss, search.rows), left, n))
                if not len(going):
                    return
                loss_fn, search = loss_fn.rows(going), select_rows(search, going, n)
            search = self._step(loss_fn, search, step)
            worst.note(search.best_loss, search.rows)
            if step in checkpoints:
                search = _checked(search, step - last)
                last = step
        worst.enter(search.best, search.best_loss, search.rows)

    def _done(self, loss: Tensor) -> Tensor:
        """The samples that are searched no further, (n,) bool."""
        if not self.early_stop or self.success_loss is None:
            return torch.zeros_like(loss, dtype=torch.bool)
        return loss > self.success_loss

    def _begin(self, loss_fn: LossFn, params: Params, images: Tensor, rows: Tensor) -> _Search:
        loss, gradient = self._gradient(loss_fn, images, params)
        return _Search(
            rows=rows,
            images=images,
            params=params,
            before=params,
            gradient=gradient,
            loss=loss,
            best=params,
            best_gradient=gradient,
            best_loss=loss,
            fraction=torch.full_like(loss, _FIRST_FRACTION),
            rises=torch.zeros_like(loss),
            checked_loss=loss,
            halved=torch.ones_like(loss, dtype=torch.bool),  # nothing to compare with at the first checkpoint
        )

    def _step(self, loss_fn: LossFn, search: _Search, step: int) -> _Search:
        threat, params, images = self.perturbation, search.params, search.images
        goal = threat.project(threat.ascend_each(params, search.gradient, search.fraction), images)
        if step > 1:
            moved = {
                name: value + _NEWEST * (goal[name] - value) + (1 - _NEWEST) * (value - search.before[name])
                for name, value in params.items()
            }
            goal = threat.project(moved, images)
        if step == self.steps:  # its gradient would not be used
            loss, gradient = self._evaluate(loss_fn, images, goal), search.gradient
        else:
            loss, gradient = self._gradient(loss_fn, images, goal)
        better = worse(loss, search.best_loss)
        return replace(
            search,
            params=goal,
            before=params,
            gradient=gradient,
            loss=loss,
            best={name: where(better, value, search.best[name]) for name, value in goal.items()},
            best_gradient={name: where(better, value, search.best_gradient[name]) for name, value in gradient.items()},
            best_loss=torch.where(better, loss, search.best_loss),
            rises=search.rises + worse(loss, search.loss),
        )


def _checked(search: _Search, steps: int) -> _Search:
    """At a checkpoint, ``steps`` after the last: halve the step of samples that get nowhere, and take them back."""
    too_few = search.rises < _SUCCESSFUL * steps
    stuck = ~search.halved & (search.best_loss <= search.checked_loss)
    halve = too_few | stuck
    return replace(
        search,
        params={name: where(halve, search.best[name], value) for name, value in search.params.items()},
        gradient={name: where(halve, search.best_gradient[name], value) for name, value in search.gradient.items()},
        loss=torch.where(halve, search.best_loss, search.loss),
        fraction=torch.where(halve, search.fraction / 2, search.fraction),
        rises=torch.zeros_like(search.rises),
        checked_loss=search.best_loss,
        halved=halve,
    )


def _checkpoints(steps: int) -> set[int]:
    """After which steps step sizes are judged: at shares p of them, p = 0, .22, and on by ever less, at least .06.

    >>> sorted(_checkpoints(100))
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    shares = [0, 22]  # in percent: sums of .06 would not meet the steps that they should
    while shares[-1] <= 100:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 3, 6))
    return {ceil(share * steps / 100) for share in shares if 0 < share <= 100}
