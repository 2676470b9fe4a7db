"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
        weight_decay: decoupled decay; not applied to vectors (norms, biases).
        warmup: share of the steps that the rate grows over.
        final: the rate at the end, as a share of the peak.
    """

    lr: float = 2e-4
    projector_lr: float | None = None
    weight_decay: float = 0.0
    warmup: float = 0.03
    final: float = 0.05


def build_optimizer(trained: Mapping[str, Tensor], settings: Optimisation, steps: int) -> dict[str, Any]:
    """What ``configure_optimizers`` returns.

    Args:
        trained: parameters by name.
        settings: rates.
        steps: optimiser steps of the whole run.
    """
    projector_lr = settings.lr if settings.projector_lr is None else settings.projector_lr
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in trained.items():
        rate = projector_lr if "projector" in name else settings.lr
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
