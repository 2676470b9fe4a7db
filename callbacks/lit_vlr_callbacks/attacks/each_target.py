"""A search for every target of a sample, several of them in one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.around import Around
from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn, Worst, pictures, private_generator
from lit_vlr_callbacks.attacks.losses import LogitsLoss, ranked_targets, targeted_margin
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.perturbations.base import Params


class EachTarget(Around):
    """Aim at each of the likeliest wrong classes, side by side; each sample keeps what got furthest.

    The batch is repeated, once a target, and searched once. That is the same number of searches as one stage a target
    in an `Ensemble`, in far fewer and larger steps: what pays where a step costs more than its rows, as with few
    samples left or a small model. What it gives up is that a sample which one target breaks leaves before the next;
    ``together`` takes some of it back, and keeps batches small enough for a processor's cache.

    The loss is `targeted_margin`: of several targets the one that leads by most. Costs one model pass more, to rank
    them.

    Args:
        search: the attack, such as `APGD` with ``success_loss=0`` and ``early_stop``.
        targets: how many classes are aimed at; None is all wrong ones.
        together: how many of them in one batch, the likeliest first. A sample that is broken (``success_loss`` of the
            search) is not searched for the others any more. None searches for all together, whatever breaks.

    Raises:
        ValueError: if ``targets`` or ``together`` is below 1.

    Reference:
        Croce and Hein, arXiv 2003.01690, section 4 (targets), with the margin in place of the DLR loss.
    """

    def __init__(self, search: Attack, targets: int | None = None, together: int | None = None) -> None:
        super().__init__(search, search.success_loss)
        if targets is not None and targets < 1:
            raise ValueError(f"Expected `targets` of at least 1 but got {targets}; None aims at all wrong classes")
        if together is not None and together < 1:
            raise ValueError(f"Expected `together` of at least 1 but got {together}; None aims at all in one batch")
        self.targets, self.together = targets, together
        self.uses_gradient = search.uses_gradient

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`.

        Raises:
            TypeError: if the loss is not a `LogitsLoss`, which knows the labels.
        """
        images = pictures(images)
        generator = private_generator(generator)
        counted = CountedLoss.of(loss_fn, images)
        classifier = _classifier(loss_fn)
        with torch.no_grad():
            aims = ranked_targets(classifier.logits_fn(images), classifier.labels)[:, : self.targets]
        worst, rows = Worst(), torch.arange(len(images), device=images.device)
        passes = torch.ones_like(rows)
        for group in torch.split(aims, self.together or aims.shape[1], dim=1):
            n, k = len(rows), group.shape[1]
            index = rows.repeat_interleave(k)
            aimed = classifier.rows(index).using(targeted_margin, group[rows].flatten())
            found = self.search.attack(aimed, images[index], generator=generator)
            best = found.loss.view(n, k).argmax(1) + k * torch.arange(n, device=images.device)
            passes = passes.index_add(0, rows, found.passes.view(n, k).sum(1).to(passes))
            params: Params = {name: value[best] for name, value in found.params.items()}
            worst.enter(params, found.loss[best], rows)
            for loss in () if found.trace is None else found.trace.view(-1, n, k).amax(2):
                worst.note(loss, rows)
            if self.success_loss is not None:
                rows = (~(worst.loss > self.success_loss)).nonzero().flatten()
            if not len(rows):
                break
        _charge(counted, passes)
        return self._result(images, worst.params, worst.loss, passes, worst.trace or None)


def _classifier(loss_fn: LossFn) -> LogitsLoss:
    """The loss of a classifier, from inside of what an `Ensemble` counts with."""
    while isinstance(loss_fn, CountedLoss) and loss_fn.chosen is None:
        loss_fn = loss_fn.loss_fn
    if not isinstance(loss_fn, LogitsLoss):
        raise TypeError(
            f"Expected a LogitsLoss, whose classes are the targets, but got {type(loss_fn).__name__}; for other losses "
            "make a Stage for each target"
        )
    return loss_fn


def _charge(counted: CountedLoss, passes: Tensor) -> None:
    """Enter what the search has spent where an `Ensemble` counts."""
    while isinstance(counted, CountedLoss):
        counted.passes[counted.charged] += passes
        if not isinstance(counted.loss_fn, CountedLoss):
            return
        counted = counted.loss_fn
