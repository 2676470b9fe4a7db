"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lit_vlr.errors import UserError

OptimizerName = Literal["adamw", "adamw8bit", "paged_adamw", "paged_adamw8bit"]
_EIGHT_BIT_FROM = 4096  # bitsandbytes keeps the moments of smaller parameters in float32


@dataclass(frozen=True)
class Optimisation:
    """AdamW with linear warm-up and cosine decay.

    Attributes:
        lr: peak learning rate of the adapters, above 0.
        projector_lr: that of the projector; None takes ``lr``.
        vision_lr: that of the vision tower's adapters; None takes ``lr``.
        confidence_lr: that of a learned confidence, an adapter of its own included; None takes ``lr``.
        weight_decay: decoupled decay, 0 or more; not applied to vectors (norms, biases).
        warmup: share of the steps that the rate grows over, in [0, 1].
        final: the rate at the end, as a share of the peak, in [0, 1].
        betas: decay of the running means of gradient and square, in [0, 1).
        layer_decay: factor of the vision tower's rate from each block to the one before it, in (0, 1]; 1 is one rate
            for all.
        optimizer: ``adamw`` is torch's. ``adamw8bit`` holds both moments in 8 bit, by blocks (2 bytes a parameter
            instead of 8), on any device. The ``paged_`` ones keep the moments in memory that moves to the host when
            the GPU is full, and exist on a GPU only.

    Raises:
        UserError: if there is no optimiser of that name, or a number is out of range.

    Reference:
        Bao et al., BEiT, arXiv 2106.08254, appendix, for the layer-wise decay; Dettmers et al., 8-bit Optimizers via
        Block-wise Quantization, arXiv 2110.02861, section 2; QLoRA, arXiv 2305.14314, section 3 (paged optimisers).
    """

    lr: float = 2e-4
    projector_lr: float | None = None
    vision_lr: float | None = None
    confidence_lr: float | None = None
    weight_decay: float = 0.0
    warmup: float = 0.03
    final: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = 1.0
    optimizer: OptimizerName = "adamw"

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(OptimizerName):
            raise UserError(f"Expected `optimizer` to be one of {get_args(OptimizerName)} but got {self.optimizer!r}")
        # Written so that NaN, for which every comparison is false, is outside.
        _check("lr", self.lr, 0 < self.lr < math.inf, "above 0 and finite", "it is the peak rate, such as 2e-4")
        for name in ("projector_lr", "vision_lr", "confidence_lr"):
            rate = getattr(self, name)
            _check(name, rate, rate is None or 0 <= rate < math.inf, "of at least 0 and finite", "null takes `lr`")
        decay = self.weight_decay
        _check("weight_decay", decay, 0 <= decay < math.inf, "of at least 0 and finite", "0 is none")
        remedy = "it is a share of the steps, not their number: 100 of 1000 are 0.1"
        _check("warmup", self.warmup, 0 <= self.warmup <= 1, "in [0, 1]", remedy)
        _check("final", self.final, 0 <= self.final <= 1, "in [0, 1]", "it is a share of the peak rate, such as 0.05")
        inside = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check("betas", self.betas, inside, "to be two numbers in [0, 1)", "0.9 and 0.999 are usual")
        _check("layer_decay", self.layer_decay, 0 < self.layer_decay <= 1, "in (0, 1]", "1 is one rate for all blocks")

    def rate(self, tower: str | None) -> float:
        """The peak learning rate of a tower's parameters.

        >>> Optimisation(lr=1e-3, vision_lr=1e-5).rate("vision"), Optimisation(lr=1e-3).rate("projector")
        (1e-05, 0.001)
        """
        own = {"projector": self.projector_lr, "vision": self.vision_lr, "confidence": self.confidence_lr}.get(
            tower or ""
        )
        return self.lr if own is None else own


def _check(name: str, value: object, is_inside: bool, expected: str, remedy: str) -> None:
    if not is_inside:
        raise UserError(f"Expected `{name}` {expected} but got {value}; {remedy}")


def build_optimizer(
    trained: Mapping[str, Tensor], settings: Optimisation, steps: int, tower_of: Callable[[str], str | None]
) -> dict[str, Any]:
    """What ``configure_optimizers`` returns.

    Args:
        trained: parameters by name.
        settings: rates.
        steps: optimiser steps of the whole run.
        tower_of: the tower of a parameter, by its name.

    Raises:
        UserError: if the optimiser does not exist on the parameters' device.
    """
    groups: dict[tuple[float, float], list[Tensor]] = {}
    above = blocks_above([name for name in trained if tower_of(name) == "vision"])
    for name, parameter in trained.items():
        rate = settings.rate(tower_of(name)) * settings.layer_decay ** above.get(name, 0)
        decay = settings.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    optimizer = _adamw(
        settings.optimizer,
        [
            {"params": params, "lr": rate, "weight_decay": decay, "betas": settings.betas}
            for (rate, decay), params in groups.items()
        ],
    )
    warmup = max(1, round(settings.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * progress))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def blocks_above(names: Sequence[str]) -> dict[str, int]:
    """How many steps of layer-wise decay each parameter of a tower takes.

    What comes behind the blocks takes none, the last block one, the first block as many as there are blocks, and what
    comes before it (patches, positions) one more.

    Args:
        names: parameters of the tower, in its modules' order; the first number in a name is its block's.

    >>> blocks_above(["patch.weight", "blocks.0.mlp", "blocks.1.mlp", "post.weight"])
    {'patch.weight': 3, 'blocks.0.mlp': 2, 'blocks.1.mlp': 1, 'post.weight': 0}
    """
    numbers = [int(found[1]) if (found := re.search(r"\.(\d+)\.", name)) else None for name in names]
    count = 1 + max((number for number in numbers if number is not None), default=-1)
    first = next((i for i, number in enumerate(numbers) if number is not None), 0)
    outside = [count + 1 if i < first else 0 for i in range(len(names))]
    return {
        name: outside[i] if number is None else count - number
        for i, (name, number) in enumerate(zip(names, numbers, strict=True))
    }


def _adamw(name: OptimizerName, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW by name, or an error where the device lacks it."""
    if name == "adamw":
        return torch.optim.AdamW(groups)
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    if name.startswith("paged_") and devices != {"cuda"}:
        # bitsandbytes would go on without paging, with a warning in the middle of the first step.
        raise UserError(
            f"Expected parameters on a CUDA device for optimizer `{name}` but they are on {sorted(devices)}; use "
            f"`{name.removeprefix('paged_')}`, which does the same without paging"
        )
    import bitsandbytes as bnb  # slow to import, and only some runs need it

    kinds = {
        "adamw8bit": bnb.optim.AdamW8bit,
        "paged_adamw": bnb.optim.PagedAdamW,
        "paged_adamw8bit": bnb.optim.PagedAdamW8bit,
    }
    optimizer: torch.optim.Optimizer = kinds[name](groups)
    return optimizer


def state_bytes(trained: Iterable[Tensor], optimizer: OptimizerName) -> int:
    """Bytes that the optimiser's two moments take, on the device or, if paged, where they fit.

    8-bit blocks of 256 have a float32 scale each; parameters of fewer than 4096 numbers stay in float32.
    """
    total = 0
    for parameter in trained:
        eight = optimizer.endswith("8bit") and parameter.numel() >= _EIGHT_BIT_FROM
        of_one = 1 + 4 / 256 if eight else parameter.element_size() if optimizer == "adamw" else 4
        total += math.ceil(2 * parameter.numel() * of_one)
    return total
