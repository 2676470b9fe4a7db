"""Projections onto a norm ball and a box together, by walking over sorted breakpoints, one value at a time."""

from __future__ import annotations

import math
from itertools import pairwise


def l1_ball_and_box(values: list[float], rooms: list[float], eps: float) -> list[float]:
    """The point nearest to ``values`` >= 0 with 0 <= p_i <= rooms_i and a sum of at most eps.

    It is clip(v - cut, 0, room), with a sum that is linear in the cut between the points v and v - room.
    """

    def total(cut: float) -> float:
        return math.fsum(min(max(v - cut, 0.0), room) for v, room in zip(values, rooms, strict=True))

    cut = 0.0
    if total(0.0) > eps:
        points = sorted({0.0, *values, *(v - r for v, r in zip(values, rooms, strict=True) if v > r)})
        for below, above in pairwise(points):
            if total(above) <= eps:
                share = (total(below) - eps) / (total(below) - total(above))
                cut = below + share * (above - below)
                break
    return [min(max(v - cut, 0.0), room) for v, room in zip(values, rooms, strict=True)]


def l2_ball_and_box(values: list[float], rooms: list[float], eps: float) -> list[float]:
    """The point nearest to ``values`` >= 0 with 0 <= p_i <= rooms_i and a Euclidean norm of at most eps.

    It is min(s v, room), with a squared norm that is linear in s^2 between the points room / v.
    """
    if math.fsum(min(v, r) ** 2 for v, r in zip(values, rooms, strict=True)) <= eps**2:
        return [min(v, r) for v, r in zip(values, rooms, strict=True)]
    pairs = sorted((r / v, v, r) for v, r in zip(values, rooms, strict=True) if v > 0)
    for stopped in range(len(pairs)):
        spent = math.fsum(r**2 for _, _, r in pairs[:stopped])
        free = math.fsum(v**2 for _, v, _ in pairs[stopped:])
        s = math.sqrt(max(eps**2 - spent, 0.0) / free)
        if s <= pairs[stopped][0]:
            return [min(s * v, r) for v, r in zip(values, rooms, strict=True)]
    raise AssertionError("a norm above eps means that some value is free")
