r"""Selective metrics from a histogram, each between bounds that hold the exact value.

A histogram knows of each cell b its weight :math:`n_b` and its losses :math:`L_b`, not the order of its rows. Taking
them as tied gives the *value*. For the *bounds*, let :math:`C(x)` be the exact cumulative loss of the x most confident.
It is known at the ends of cells. Inside cell b, which spans :math:`[x_0, x_1]`, losses in [0, 1] leave it between

.. math:: C(x_0) + \max(0,\ x - x_1 + L_b) \ \le\ C(x)\ \le\ C(x_0) + \min(x - x_0,\ L_b)

because it grows by at most 1 a row and never falls. Both ends are orders: all rows of loss 0 first, or all of loss 1.
AURC, AUGRC and (with the sign turned) AUROC grow with C at every x, so evaluating them on those two orders bounds the
exact value, ties included, since ties average orders. Within whole rows the extreme orders are real data sets with the
same histogram: no tighter bounds exist.

How far apart are they? The chord of a cell of share :math:`p_b = n_b/N` and mean loss :math:`m_b` is off by at most
:math:`n_b m_b (1 - m_b)`, and encloses with either extreme a triangle. With p the share of the fullest cell,

.. math::
    |\Delta \text{AUGRC}| &\le \tfrac12 \sum_b p_b^2\, m_b (1 - m_b) \le \tfrac{p}{8} \\
    |\Delta \text{AURC}| &\le \tfrac1N \sum_b n_b m_b (1 - m_b) \sum_{k = x_0 + 1}^{x_1} \tfrac1k \le \tfrac{p}{4} H_N

for ``mean`` and ``trapezoid``, :math:`H_N \approx \ln N + .58`; cells of one row or of equal losses cost nothing.
Every cut of a histogram is a cut of the data, so points of the curve are exact, and C@R can only be too low.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lit_vlr.functional._histogram import CORRECTNESS_CELLS
from lit_vlr.functional._tied_blocks import TiedBlocks, with_origin
from lit_vlr.functional.calibration import ace_of
from lit_vlr.functional.operating_point import RISK_TOLERANCE, ROUNDING_TOLERANCE, largest_coverage, risk_from
from lit_vlr.functional.ranking import ExcessConvention, rejection_ratio, roc_area_under
from lit_vlr.functional.risk_coverage import AURCConvention, area_under, generalised_area_under


class Bounded(NamedTuple):
    """A value from a histogram and what the exact value lies between, NaN where undefined."""

    value: Tensor
    low: Tensor
    high: Tensor


class BinnedLosses(NamedTuple):
    """Losses of a histogram.

    Attributes:
        achieved: by confidence; declined rows in ``declined``.
        best: of all rows, by correctness.
    """

    achieved: TiedBlocks
    best: TiedBlocks


def aurc(losses: BinnedLosses, convention: AURCConvention) -> Bounded:
    """AURC; ``geifman`` by the range of risk in each cell, since its lines in risk depend on the cuts inside."""
    blocks = losses.achieved.forced()
    value = area_under(blocks, convention)
    if convention != "geifman":
        best_first, worst_first = (_extreme(blocks, best_first=best, whole=True) for best in (True, False))
        return _bounded(value, area_under(best_first, convention), area_under(worst_first, convention))
    start, stop, before, loss = _cells(blocks)
    # Risk is lowest where the rows of loss 0 end and highest where those of loss 1 do.
    lowest = torch.where(stop > loss, before / (stop - loss), 1.0)
    highest = torch.where(start + loss > 0, (before + loss) / (start + loss), 0.0)
    share = (stop - start) / stop[-1]
    return _bounded(value, (share * lowest).sum(), (share * highest).sum())


def augrc(losses: BinnedLosses) -> Bounded:
    """AUGRC."""
    blocks = losses.achieved.forced()
    extremes = (_extreme(blocks, best_first=best, whole=False) for best in (True, False))
    return _bounded(generalised_area_under(blocks), *(generalised_area_under(extreme) for extreme in extremes))


def auroc(losses: BinnedLosses) -> Bounded:
    """AUROC."""
    blocks = losses.achieved.forced()
    extremes = (_extreme(blocks, best_first=best, whole=False) for best in (False, True))
    return _bounded(roc_area_under(blocks), *(roc_area_under(extreme) for extreme in extremes))


def excess_aurc(losses: BinnedLosses, convention: ExcessConvention) -> Bounded:
    """E-AURC: the bounds of AURC less those of the best order."""
    best, sharpest = losses.best, _best_order(losses.best, whole=True)
    return _excess(aurc(losses, convention), area_under(best, convention), area_under(sharpest, convention))


def excess_augrc(losses: BinnedLosses) -> Bounded:
    """Excess AUGRC: the bounds of AUGRC less those of the best order."""
    best, sharpest = losses.best, _best_order(losses.best, whole=False)
    return _excess(augrc(losses), generalised_area_under(best), generalised_area_under(sharpest))


def prediction_rejection_ratio(losses: BinnedLosses) -> Bounded:
    """PRR, monotone in either area; its random area is exact."""
    value = rejection_ratio(losses.achieved.forced(), losses.best)
    area = aurc(losses, "mean")
    random_area = losses.best.mean[-1]
    gains = random_area - area.low, random_area - area.high
    rooms = (
        random_area - area_under(losses.best, "mean"),
        random_area - area_under(_best_order(losses.best, whole=True), "mean"),
    )
    ratios = torch.stack([gain / room for gain in gains for room in rooms])
    return _bounded(value, ratios.min(), ratios.max().clamp(max=1.0))


def coverage_at_risk(losses: BinnedLosses, max_risk: float) -> Bounded:
    """C@R: never too high; at most what the best order within each cell allows."""
    blocks = losses.achieved
    value = largest_coverage(blocks, max_risk)
    allowed = max_risk + RISK_TOLERANCE
    if allowed >= 1 or not blocks.threshold.numel():
        return Bounded(value, value, value)
    _, stop, before, loss = _cells(blocks)
    # With the rows of loss 1 last, risk passes `allowed` at x where before + x - (stop - loss) = allowed * x, if it was
    # not above it already when they began.
    passes = (stop - loss - before) / (1 - allowed)
    reached = torch.where(before <= allowed * (stop - loss), passes.clamp(min=0).minimum(stop), 0.0)
    return _bounded(value, value, reached.max() / blocks.total)


def risk_at_coverage(losses: BinnedLosses, coverage: float) -> Bounded:
    """R@C: the exact cut lies in the cell that holds the coverage, after it."""
    blocks = losses.achieved
    value = risk_from(blocks, coverage)
    if value.isnan():
        return Bounded(value, value, value)
    cell = int((blocks.coverage < coverage - ROUNDING_TOLERANCE).sum())
    start, stop, before, loss = (column[cell] for column in _cells(blocks))
    first = torch.maximum(start, (coverage - ROUNDING_TOLERANCE) * blocks.total)
    first = first.clamp(min=torch.finfo(torch.float64).tiny)  # a coverage of next to nothing, to divide by
    lowest_at, highest_at = torch.maximum(first, stop - loss), torch.maximum(first, start + loss)
    lowest = (before + (lowest_at - stop + loss).clamp(min=0)) / lowest_at
    highest = (before + torch.minimum(highest_at - start, loss)) / highest_at
    return _bounded(value, lowest, highest)


def adaptive_calibration_error(
    losses: BinnedLosses, confidence_sums: Tensor, thresholds: Tensor, n_bins: int
) -> Bounded:
    r"""ACE: an edge between two bins moves both by what accuracy and confidence may shift within its cell.

    Args:
        losses: of confidences in [0, 1].
        confidence_sums: weighted confidences of each cell, the least confident first, (n_cells,).
        thresholds: the cuts, (n_cells - 1,).
        n_bins: M. The bounds are at most :math:`(M - 1)\,p` from the value, p the share of the fullest cell: each
            sum strays from its chord by at most a quarter of the cell, and an edge belongs to two bins.
    """
    start, stop, _, loss = _cells(losses.achieved)
    size = stop - start
    cell = torch.bucketize(losses.achieved.threshold, thresholds, right=True)  # a threshold is its cell's lower end
    confidence, accuracy = confidence_sums[cell], size - loss
    value = ace_of(losses.achieved._replace(value=(confidence - accuracy).cumsum(0)), n_bins)
    if value.isnan():
        return Bounded(value, value, value)
    ends = torch.cat([thresholds.new_zeros(1), thresholds, thresholds.new_ones(1)]).clamp(0, 1)
    lower, width = ends[cell], ends[cell + 1] - ends[cell]
    above = torch.where(width > 0, (confidence - lower * size) / width, 0.0)
    edges = torch.arange(1, n_bins, dtype=torch.float64) / n_bins * stop[-1]
    hit = torch.searchsorted(stop, edges).clamp(max=len(stop) - 1)
    inside = edges - start[hit]
    shift = _shift(inside, size[hit], accuracy[hit]) + width[hit] * _shift(inside, size[hit], above[hit])
    slack = 2 * shift.sum() / stop[-1]
    return Bounded(value, (value - slack).clamp(min=0), value + slack)


def _cells(blocks: TiedBlocks) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where each cell starts and stops, the losses before it and inside it, (K,) each."""
    before = with_origin(blocks.value)[:-1]
    return with_origin(blocks.answered)[:-1], blocks.answered, before, blocks.value - before


def _extreme(
    blocks: TiedBlocks,
    *,
    best_first: bool,
    whole: bool,
    low: float | Tensor = 0.0,
    high: float | Tensor = 1.0,
) -> TiedBlocks:
    """The blocks with the losses of each spread as unequally as can be, in the best or the worst order.

    Args:
        blocks: K of them.
        best_first: low losses first.
        whole: rows have weight 1, so that one row of a block may have to take a loss in between. Without it the weight
            is divided at will.
        low: the smallest loss of a row, for all or for each block, (K,).
        high: the largest.
    """
    start, stop, _, loss = _cells(blocks)
    size = stop - start
    low, high = (torch.as_tensor(end, dtype=torch.float64).expand_as(size) for end in (low, high))
    at_high = torch.where(high > low, (loss - low * size) / (high - low), 0.0).clamp(min=0).minimum(size)
    full = at_high.floor() if whole else at_high
    between = torch.minimum(torch.ones_like(size), size - full) if whole else torch.zeros_like(size)
    weight = torch.stack([full, between, (size - full - between).clamp(min=0)], dim=1)
    value = torch.stack([high, low + (at_high - full) * (high - low), low], dim=1)
    if best_first:
        weight, value = weight.flip(1), value.flip(1)
    present = weight > 0
    threshold = blocks.threshold[:, None].expand_as(weight)[present]
    return TiedBlocks(threshold, weight[present].cumsum(0), (weight * value)[present].cumsum(0), blocks.declined)


def _best_order(best: TiedBlocks, *, whole: bool) -> TiedBlocks:
    """The smallest areas that the accuracies in these cells may have; the largest are those of ties."""
    high = 1 - best.threshold
    low = (high - 1 / (CORRECTNESS_CELLS - 1)).clamp(min=0)
    return _extreme(best, best_first=True, whole=whole, low=low, high=high)


def _excess(achieved: Bounded, best: Tensor, sharpest: Tensor) -> Bounded:
    low, high = (achieved.low - best).clamp(min=0), (achieved.high - sharpest).clamp(min=0)
    return _bounded((achieved.value - best).clamp(min=0), low, high)


def _shift(inside: Tensor, size: Tensor, amount: Tensor) -> Tensor:
    """How far a sum that grows by 0 to 1 a row can be from its chord, after ``inside`` of ``size`` rows."""
    chord = inside * amount / size
    above, below = torch.minimum(inside, amount) - chord, chord - (inside - size + amount).clamp(min=0)
    return torch.maximum(above, below).clamp(min=0)


def _bounded(value: Tensor, low: Tensor, high: Tensor) -> Bounded:
    """Keep rounding from putting the value outside of its own bounds."""
    if value.isnan():
        nan = torch.tensor(math.nan, dtype=torch.float64)
        return Bounded(value, nan, nan)
    return Bounded(value, torch.minimum(low, value), torch.maximum(high, value))
