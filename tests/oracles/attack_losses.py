"""Losses of attacks on one sample's logits, in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction


def cross_entropy(logits: list[float], label: int) -> float:
    return math.log(sum(math.exp(z) for z in logits)) - logits[label]


def margin(logits: list[float], label: int) -> float:
    return max(z for i, z in enumerate(logits) if i != label) - logits[label]


def dlr(logits: list[float], label: int) -> float:
    order = sorted(logits, reverse=True)
    return margin(logits, label) / (order[0] - order[2])


def targeted_dlr(logits: list[float], label: int, target: int) -> float:
    order = sorted(logits, reverse=True)
    return (logits[target] - logits[label]) / (order[0] - (order[2] + order[3]) / 2)


def kl(clean: list[float], attacked: list[float]) -> float:
    p = [math.exp(-cross_entropy(clean, i)) for i in range(len(clean))]
    return sum(p_i * (cross_entropy(attacked, i) - cross_entropy(clean, i)) for i, p_i in enumerate(p))


def checkpoints(steps: int) -> set[int]:
    """Of arXiv 2003.01690, section 3.2, in exact arithmetic."""
    p = [Fraction(0), Fraction(22, 100)]
    while p[-1] <= 1:
        p.append(p[-1] + max(p[-1] - p[-2] - Fraction(3, 100), Fraction(6, 100)))
    return {math.ceil(share * steps) for share in p[1:] if share <= 1}
