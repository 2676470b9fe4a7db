"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Optimisation:
    """AdamW with linear warm-up and cosine decay.

    Attributes:
        lr: peak learning rate of the adapters.
        projector_lr: that of the projector; None takes ``lr``.
        vision_lr: that of the vision tower's adapters; None takes ``lr``.
        weight_decay: decoupled decay; not applied to vectors (norms, biases).
        warmup: share of the steps that the rate grows over.
        final: the rate at the end, as a share of the peak.
    """

    lr: float = 2e-4
    projector_lr: float | None = None
    vision_lr: float | None = None
    weight_decay: float = 0.0
    warmup: float = 0.03
    final: float = 0.05

    def rate(self, tower: str | None) -> float:
        """The peak learning rate of a tower's parameters.

        >>> Optimisation(lr=1e-3, vision_lr=1e-5).rate("vision"), Optimisation(lr=1e-3).rate("projector")
        (1e-05, 0.001)
        """
        own = {"projector": self.projector_lr, "vision": self.vision_lr}.get(tower or "")
        return self.lr if own is None else own


def build_optimizer(
    trained: Mapping[str, Tensor], settings: Optimisation, steps: int, tower_of: Callable[[str], str | None]
) -> dict[str, Any]:
    """What ``configure_optimizers`` returns.

    Args:
        trained: parameters by name.
        settings: rates.
        steps: optimiser steps of the whole run.
        tower_of: the tower of a parameter, by its name.
    """
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in trained.items():
        rate = settings.rate(tower_of(name))
        decay = settings.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
    )
    warmup = max(1, round(settings.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * progress))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
