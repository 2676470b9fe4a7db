"""An attack without a bound, which nothing can survive: any picture can be turned into any other."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, LossFn, per_sample_loss
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.random_search import RandomSearch
from lit_vlr_callbacks.attacks.universal import Universal
from lit_vlr_callbacks.perturbations import L1, L2, Compose, Linf

_STEPS = 10  # at least: from one end of the range to the other several times over
_TOLERANCE = 1e-4  # relative, on mean losses: below it two attacks are equally strong

Broken: TypeAlias = Callable[[Tensor], Tensor]
"""Pictures (B, C, H, W) to whether the model fails on each, (B,) bool."""


def without_bound(
    loss_fn: LossFn, attack: Attack, images: Tensor, generator: torch.Generator, broken: Broken | None
) -> tuple[float | None, float | None, str]:
    """Run an attack over all pictures that there are.

    Args:
        loss_fn: pictures (B, C, H, W) to losses (B,).
        attack: the attack; its perturbation is a ball of pixels, alone or in a `Compose`, else there is nothing to run.
        images: the clean pictures, (B, C, H, W).
        generator: the attack's randomness.
        broken: says on which pictures the model fails; None asks the attack's ``success_loss``.

    Returns:
        The mean loss reached, the share of samples that survive, each None where it is not known; and a sentence on
        what is wrong with that, empty where nothing is.
    """
    free = _unbounded(attack, images)
    if free is None:
        return None, None, ""
    found = free.attack(loss_fn, images, generator=generator).images
    with torch.no_grad():
        loss = per_sample_loss(loss_fn, found)
        if broken is None and attack.success_loss is None:
            swapped = _swapped_loss(loss_fn, images)
            reached = float(loss.mean())
            if reached >= swapped - slack(swapped):
                return reached, None, ""
            return (
                reached,
                None,
                (
                    f"Without a bound the attack reaches {reached:.4g}, another sample's picture {swapped:.4g}: "
                    "it does not follow the loss. Masked gradients?"
                ),
            )
        fails = broken(found) if broken is not None else loss > attack.success_loss  # type: ignore[operator]
    left = 1 - float(fails.float().mean())
    text = f"Without a bound {left:.0%} of the samples survive, where none can: masked gradients, or too few steps."
    return float(loss.mean()), left, text if left > 0 else ""


def _swapped_loss(loss_fn: LossFn, images: Tensor) -> float:
    """Mean loss with the picture of another sample, the mean over all shifts of the batch; -inf where there is none."""
    shifts = range(1, min(len(images), 9))
    losses = [mean_loss(loss_fn, images.roll(shift, 0)) for shift in shifts]
    return sum(losses) / len(losses) if losses else -math.inf


def _unbounded(attack: Attack, images: Tensor) -> Attack | None:
    """The attack over all pictures in [0, 1]; None where there is no such thing."""
    if isinstance(attack, (RandomSearch, Universal)):  # these follow no loss from a picture to another
        return None
    threat = attack.perturbation
    free = copy.copy(attack)
    if isinstance(threat, Compose) and isinstance(attack, PGD):
        balls = [part for part in threat.perturbations if isinstance(part, (Linf, L2, L1))]
        if len(balls) == 1:
            threat = free.perturbation = balls[0]
    if not isinstance(threat, (Linf, L2, L1)) or threat.eps == 0:
        return None
    values = images[0].numel()
    whole = 1.0 if isinstance(threat, Linf) else math.sqrt(values) if isinstance(threat, L2) else float(values)
    free = free.scaled(whole / threat.eps)
    if isinstance(free, PGD):
        free.steps = max(free.steps, _STEPS)
    return free


@torch.no_grad()
def mean_loss(loss_fn: LossFn, images: Tensor) -> float:
    """Mean loss of pictures (B, C, H, W)."""
    return float(per_sample_loss(loss_fn, images).mean())


def slack(loss: float) -> float:
    """By how much another mean loss may be below this one and still count as equal."""
    return _TOLERANCE * max(abs(loss), 1e-3) if math.isfinite(loss) else 0.0
