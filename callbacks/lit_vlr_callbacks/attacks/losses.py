"""Losses that attacks raise: of a classifier's logits, towards a target, away from what the clean picture gave."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from lit_vlr_callbacks.attacks.base import LossFn
from lit_vlr_callbacks.attacks.rows import narrow

LogitLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K) and classes (B,) to losses (B,)."""

_TINY = 1e-12


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy of the true class, :math:`-\log p_y`, (B,).

    Args:
        logits: (B, K).
        labels: (B,).
    """
    return F.cross_entropy(logits, labels, reduction="none")


def wrong_first(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy, plus :math:`\log K` where a wrong class wins: above log K exactly there, (B,).

    The gradient is that of the cross-entropy, which by itself does not say who is broken: a class that is not the
    likeliest may have any probability below 1/2. One that is has at least 1/K, and so a loss of at most log K. An
    attack that keeps its worst iterate therefore keeps a broken one if it has met any.

    Args:
        logits: (B, K), of at least 2 classes.
        labels: (B,).

    >>> wrong_first(torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.5, 1.0]]), torch.tensor([0, 2])) > torch.tensor(3).log()
    tensor([False,  True])
    """
    wrong = margin(logits.detach(), labels) > 0
    return cross_entropy(logits, labels) + wrong * math.log(logits.shape[1])


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    r"""By how much the best wrong class leads, :math:`\max_{i \ne y} z_i - z_y`, (B,); above 0 where it wins.

    Args:
        logits: (B, K), of at least 2 classes.
        labels: (B,).

    Reference:
        Carlini and Wagner, arXiv 1608.04644, section V, loss 6 without its bound.

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0])).item()
    -1.0
    """
    return _best_wrong(logits, labels) - _of(logits, labels)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Difference of logits ratio, :math:`(\max_{i \ne y} z_i - z_y) / (z_{\pi_1} - z_{\pi_3})`, (B,).

    The margin, divided by the lead of the first class over the third: scaling the logits, with which a model can drown
    the gradient of the cross-entropy, changes nothing. In [-1, 0] while the true class wins, above 0 where it does not.

    Args:
        logits: (B, K), of at least 3 classes.
        labels: (B,).

    Raises:
        ValueError: if there are fewer classes.

    Reference:
        Croce and Hein, arXiv 2003.01690, equation 6.

    >>> dlr(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0])).item()
    -0.5
    """
    first, _, third = _largest(logits, 3).unbind(1)
    return margin(logits, labels) / (first - third + _TINY)


def targeted_margin(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    r"""By how much a target t leads, :math:`z_t - z_y`, (B,); above 0 only where the true class does not win.

    Unlike `targeted_dlr` it grows with the logits' scale, and its gradient follows these two classes alone.

    Args:
        logits: (B, K).
        labels: the true class, (B,).
        targets: the class to be reached, (B,).

    >>> targeted_margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]), torch.tensor([1])).item()
    -2.0
    """
    return _of(logits, targets) - _of(logits, labels)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    r"""DLR towards a target t, :math:`(z_t - z_y) / (z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2)`, (B,).

    Args:
        logits: (B, K), of at least 4 classes.
        labels: the true class, (B,).
        targets: the class to be reached, (B,).

    Raises:
        ValueError: if there are fewer classes.

    Reference:
        Croce and Hein, arXiv 2003.01690, equation 7.
    """
    first, _, third, fourth = _largest(logits, 4).unbind(1)
    return targeted_margin(logits, labels, targets) / (first - (third + fourth) / 2 + _TINY)


def ranked_targets(logits: Tensor, labels: Tensor) -> Tensor:
    """The wrong classes from the likeliest down, (B, K - 1): what targeted attacks aim at, one after the other."""
    order = logits.argsort(dim=1, descending=True, stable=True)
    return order[order != labels.unsqueeze(1)].view(len(logits), -1)


class LogitsLoss:
    """A classifier's loss as what attacks raise: `cross_entropy`, `margin`, `dlr` or another of its logits.

    Args:
        logits_fn: pictures (B, C, H, W) to logits (B, K), each from its own picture alone.
        labels: the true classes, (B,).
        loss: logits and labels to losses (B,).
        targets: the classes that ``loss`` takes as a third argument, (B,), as `targeted_dlr` does.

    >>> weights = torch.eye(3)
    >>> attacked = LogitsLoss(lambda images: images.flatten(1) @ weights, torch.tensor([0, 1]), margin)
    >>> attacked(torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.25, 0.0]]).view(2, 3, 1, 1))
    tensor([-0.7000,  0.2500])
    """

    def __init__(
        self,
        logits_fn: Callable[[Tensor], Tensor],
        labels: Tensor,
        loss: Callable[..., Tensor] = cross_entropy,
        targets: Tensor | None = None,
    ) -> None:
        self.logits_fn = logits_fn
        self.labels = labels
        self.loss = loss
        self.targets = targets

    def __call__(self, images: Tensor) -> Tensor:
        """Losses, (B,)."""
        more = () if self.targets is None else (self.targets,)
        return self.loss(self.logits_fn(images), self.labels, *more)

    def rows(self, index: Tensor) -> LogitsLoss:
        """The same for some of the rows, (n,)."""
        targets = None if self.targets is None else self.targets[index]
        return LogitsLoss(self.logits_fn, self.labels[index], self.loss, targets)

    def using(self, loss: Callable[..., Tensor], targets: Tensor | None = None) -> LogitsLoss:
        """The same classifier and labels under another loss."""
        return LogitsLoss(self.logits_fn, self.labels, loss, targets)


class TargetedLoss:
    """Aim at a target instead: the negative of a target's loss, which an attack raises by lowering that.

    Args:
        loss_fn: loss of the *target*, such as `LogitsLoss` with the target as label.
    """

    def __init__(self, loss_fn: LossFn) -> None:
        self.loss_fn = loss_fn

    def __call__(self, images: Tensor) -> Tensor:
        """Losses, (B,), at most 0 for losses that are at least 0."""
        return -self.loss_fn(images)

    def rows(self, index: Tensor) -> TargetedLoss | None:
        """The same for some of the rows, (n,), where the target's loss can be narrowed."""
        narrowed = narrow(self.loss_fn, index)
        return None if narrowed is None else TargetedLoss(narrowed)


class AwayFromClean:
    """How far what a model says of a picture is from what it said of the clean one.

    The distance is smallest, and its gradient zero, at the clean picture itself: start at random.

    Args:
        outputs_fn: pictures (B, C, H, W) to outputs (B, ...), each from its own picture alone.
        clean: outputs for the clean pictures, (B, ...).
        distance: outputs for attacked and clean pictures to distances (B,).
    """

    def __init__(
        self, outputs_fn: Callable[[Tensor], Tensor], clean: Tensor, distance: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        self.outputs_fn = outputs_fn
        self.clean = clean
        self.distance = distance

    def __call__(self, images: Tensor) -> Tensor:
        """Distances, (B,)."""
        return self.distance(self.outputs_fn(images), self.clean)

    def rows(self, index: Tensor) -> AwayFromClean:
        """The same for some of the rows, (n,)."""
        return AwayFromClean(self.outputs_fn, self.clean[index], self.distance)


def kl_from_clean(logits_fn: Callable[[Tensor], Tensor], images: Tensor) -> AwayFromClean:
    r"""The loss that TRADES attacks with, :math:`\mathrm{KL}(p(x) \,\|\, p(x'))`, (B,): it needs no labels.

    Args:
        logits_fn: pictures (B, C, H, W) to logits (B, K).
        images: the clean pictures x, (B, C, H, W); they cost one model pass, here.

    Reference:
        Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy, arXiv 1901.08573, equation 3
        and algorithm 1, with the clean distribution first, as published code has it.
    """
    return AwayFromClean(logits_fn, _clean(logits_fn, images), _kl)


class FeatureSpace(AwayFromClean):
    r"""Squared Euclidean distance of image features to the clean ones, :math:`\|\phi(x') - \phi(x)\|_2^2`, (B,).

    An encoder's attack that knows no task: what FARE trains against. Features are flattened; the sum, not the mean.

    Args:
        features_fn: pictures (B, C, H, W) to features (B, ...), such as ``family.image_features``.
        images: the clean pictures x, (B, C, H, W); they cost one model pass, here.

    Reference:
        Schlarmann et al., Robust CLIP, arXiv 2402.12336, equation 3; there, of the class token.
    """

    def __init__(self, features_fn: Callable[[Tensor], Tensor], images: Tensor) -> None:
        super().__init__(features_fn, _clean(features_fn, images), _squared_distance)


def _squared_distance(attacked: Tensor, clean: Tensor) -> Tensor:
    return (attacked - clean).float().square().flatten(1).sum(1)


def _kl(attacked: Tensor, clean: Tensor) -> Tensor:
    p, q = (logits.float().log_softmax(-1) for logits in (clean, attacked))
    return F.kl_div(q, p, reduction="none", log_target=True).flatten(1).sum(1)


@torch.no_grad()
def _clean(outputs_fn: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return outputs_fn(images.detach())


def _of(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)


def _best_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    true = F.one_hot(labels, logits.shape[1]).bool()
    return logits.masked_fill(true, -torch.inf).amax(1)


def _largest(logits: Tensor, k: int) -> Tensor:
    if logits.shape[1] < k:
        raise ValueError(f"Expected logits of at least {k} classes but got {logits.shape[1]}; use `margin`")
    return logits.topk(k, 1).values
