"""A number that changes over the optimiser steps of a training."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Literal

from lit_vlr_callbacks.attacks.base import Attack


@dataclass(frozen=True)
class Schedule:
    """From ``start`` at optimiser step 0 to ``end`` at step ``steps``, and ``end`` from there on.

    Attributes:
        end: the last value.
        start: the first value.
        steps: optimiser steps between the two; with gradient accumulation fewer than batches.
        kind: ``linear``; ``cosine``, which leaves and arrives slowly, start + (end - start) (1 - cos πt)/2; or
            ``constant``, which stays at ``start`` and then jumps.

    Raises:
        ValueError: if ``steps`` is negative or ``kind`` unknown.

    >>> ramp = Schedule(end=1.0, start=0.0, steps=4)
    >>> [ramp.at(step) for step in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """

    end: float = 1.0
    start: float = 0.0
    steps: int = 100
    kind: Literal["linear", "cosine", "constant"] = "linear"

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"Expected `steps` of a schedule of at least 0 but got {self.steps}; 0 is `end` at once")
        if self.kind not in ("linear", "cosine", "constant"):
            raise ValueError(f"Expected `kind` as 'linear', 'cosine' or 'constant' but got {self.kind!r}")

    def at(self, step: int) -> float:
        """The value at an optimiser step."""
        if step >= self.steps:
            return self.end
        share = step / self.steps
        if self.kind == "constant":
            share = 0.0
        elif self.kind == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return self.start + (self.end - self.start) * share


def check_schedules(attack: Attack, eps: Schedule | None, steps: Schedule | None) -> None:
    """Check that the schedules fit the attack.

    Raises:
        ValueError: if the share of the range leaves [0, 1], the attack has no steps, or fewer than one is asked for.
    """
    if eps is not None and not (0 <= eps.start <= 1 and 0 <= eps.end <= 1):
        raise ValueError(
            f"Expected `eps_schedule` in [0, 1] but got {eps.start:g} to {eps.end:g}; it is a share of the attack's "
            "range"
        )
    if steps is None:
        return
    if not hasattr(attack, "steps"):
        raise ValueError(
            f"Expected an attack with steps for `steps_schedule` but {type(attack).__name__} has none; leave it out"
        )
    if min(steps.start, steps.end) < 1:
        raise ValueError(
            f"Expected `steps_schedule` of at least 1 but got {steps.start:g} to {steps.end:g}; for clean training at "
            "the start use `eps_schedule`"
        )


def scheduled(attack: Attack, eps: Schedule | None, steps: Schedule | None, step: int) -> Attack:
    """The attack as the schedules want it at an optimiser step; the attack itself where they want no change."""
    if eps is not None and (share := eps.at(step)) != 1:
        attack = attack.scaled(share)
    if steps is not None:
        attack = copy.copy(attack)
        attack.steps = math.floor(steps.at(step) + 0.5)  # type: ignore[attr-defined]  # checked
    return attack
