r"""Histograms over confidence: selective metrics in memory that does not grow with the data.

A histogram adds up over batches and processes, and its occupied cells are tied blocks
(:mod:`lit_vlr.functional._tied_blocks`) in which rows tie that may not have tied before. What that costs is bounded in
:mod:`lit_vlr.functional._binned`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_vlr.functional._sums import sums_in_cells
from lit_vlr.functional._tied_blocks import HIGHEST_CUT, TiedBlocks
from lit_vlr.functional._validation import SelectiveColumns, as_vector

# Octaves that the logarithmic half of the grid covers. Float32 resolves 2^-24 below 1, so that no probability and no
# log-probability computed from one lies closer to 1 or 0; 2^16 is beyond the logits and summed log-probabilities of
# answers, most of which lie within 64 of zero.
_NEAR, _FAR, _WIDE = 24, 16, 64
_FEWEST_CELLS = 8
# Irrational, so that no cut of one part of the grid repeats a cut of another.
_OFFSET = math.sqrt(2) - 1

# Accuracies of up to three decimals have a cell of their own, and so has 1.
CORRECTNESS_CELLS = 1001


class Histogram(NamedTuple):
    """Sums over cells; histograms of parts of the data add up to that of the whole.

    Attributes:
        by_confidence: weight and losses of the rows that were not declined, by cell of confidence, (2, n_cells).
        by_correctness: weight and losses of all rows, declined ones with loss 1, by cell of correctness,
            (2, CORRECTNESS_CELLS).
        counts: weight of the declined rows, number of rows, number of rows with a fractional weight, (3,).
    """

    by_confidence: Tensor
    by_correctness: Tensor
    counts: Tensor

    @classmethod
    def empty(cls, n_cells: int) -> Histogram:
        """Nothing seen."""
        shapes = (2, n_cells), (2, CORRECTNESS_CELLS), (3,)
        return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    @classmethod
    def of(cls, columns: SelectiveColumns, edges: Tensor) -> Histogram:
        """Count checked rows.

        Args:
            columns: the rows, (N,) each.
            edges: see :func:`threshold_grid`, (n_cells - 1,).
        """
        weight, answered = columns.weight, columns.abstained == 0
        kept = weight[answered]
        cell = torch.bucketize(columns.confidence[answered], edges, right=True)
        accuracy = columns.correctness * (1 - columns.abstained)
        top = CORRECTNESS_CELLS - 1
        accuracy_edges = torch.arange(1, CORRECTNESS_CELLS, dtype=torch.float64) / top
        accuracy_cell = torch.bucketize(accuracy, accuracy_edges, right=True)
        fractional = (weight != weight.round()).sum()
        return cls(
            sums_in_cells(cell, len(edges) + 1, kept, kept * (1 - columns.correctness[answered])),
            sums_in_cells(accuracy_cell, CORRECTNESS_CELLS, weight, weight * (1 - accuracy)),
            torch.stack([weight[~answered].sum(), torch.tensor(len(weight)), fractional]).to(torch.float64),
        )


def threshold_grid(n_cells: int) -> Tensor:
    r"""Thresholds that cut the real line into ``n_cells`` cells that suit confidences of any kind.

    Nobody says whether a confidence is a probability, a log-probability or a logit. Probabilities spread over [0, 1]
    and crowd at 1, where sure answers differ by powers of ten in 1 - p; log-probabilities crowd at 0 in the same way;
    logits and sums of log-probabilities have no bounds. So a third of the cuts are evenly spaced on [0, 1], a third on
    [-64, 64], and a third on a logarithmic scale: in 1 - s on [1/2, 1), in s on (0, 1/2] and [1, 2^16], in -s on
    [-2^16, 0), down to a distance of 2^-24 from 0 and from 1. The values that saturate get cells of their own: -inf,
    +inf, and 0 and 1 together with what exceeds them by next to nothing.

    Rejected: cuts evenly spaced after a squashing map such as arctan or the sigmoid, which put all sure probabilities,
    or all sure log-probabilities, into a few cells; and cuts spaced by floating-point pattern, fine at 0 and coarse at
    1.

    Args:
        n_cells: how many cells, at least 8.

    Returns:
        The cuts :math:`e_1 < \ldots < e_{n-1}`, float64, (n_cells - 1,). Cell k holds :math:`e_k \le s < e_{k+1}` with
        :math:`e_0 = -\infty` and :math:`e_n = \infty`, the last one including +inf: a cut is a threshold as everywhere
        in this package.

    Raises:
        ValueError: for fewer than 8 cells.

    Reference:
        Tene, "HdrHistogram", 2012, for cells of constant relative width; the union of grids is ours.

    Example:
        Between the cuts that set the two infinities apart:

        >>> threshold_grid(9)[1:-1]
        tensor([-10.9807,  -0.0287,   0.0000,   0.4142,   0.9991,   1.0000],
               dtype=torch.float64)
    """
    if isinstance(n_cells, bool) or int(n_cells) != n_cells or n_cells < _FEWEST_CELLS:
        raise ValueError(
            f"Expected `thresholds` to be a whole number of at least {_FEWEST_CELLS} but got {n_cells}; 4096 is usual, "
            "and None is exact"
        )
    special = torch.tensor([-HIGHEST_CUT, 0.0, 1.0, HIGHEST_CUT], dtype=torch.float64)
    n_free = int(n_cells) - 1 - len(special)
    n_even, n_wide = n_free // 3, n_free // 3
    even, wide, place = (
        (torch.arange(n, dtype=torch.float64) + _OFFSET) / n for n in (n_even, n_wide, n_free - n_even - n_wide)
    )
    # One axis of octaves for all four logarithmic segments, each with its share of the cuts.
    lengths = [_FAR + _NEAR, _NEAR - 1, _NEAR - 1, _FAR]
    starts = [sum(lengths[:segment]) for segment in range(len(lengths))]
    place = place * sum(lengths)
    below_zero, above_zero, below_one, above_one = (
        place[(place >= start) & (place < start + length)] - start
        for start, length in zip(starts, lengths, strict=True)
    )
    log = [-(2 ** (_FAR - below_zero)), 2 ** (above_zero - _NEAR), 1 - 2 ** (-1 - below_one), 2**above_one]
    return torch.cat([special, even, _WIDE * (2 * wide - 1), *log]).sort().values


def check_thresholds(thresholds: int | Sequence[float] | Tensor) -> Tensor:
    """The cuts of a histogram: those of :func:`threshold_grid` for a number of cells, or the given ones."""
    if isinstance(thresholds, int):
        return threshold_grid(thresholds)
    edges = as_vector("thresholds", thresholds)
    if bool(edges.isnan().any()) or bool((edges.diff() <= 0).any()) or bool(edges[-1].isinf()):
        raise ValueError(
            f"Expected `thresholds` to increase strictly, without NaN or +inf, but got {edges.tolist()[:5]}...; sort "
            "them, and leave out +inf, which abstains on everything"
        )
    return edges


def confidence_blocks(histogram: Histogram, edges: Tensor) -> TiedBlocks:
    """Losses by occupied cell, the most confident first; declined rows count in ``declined``."""
    lower = torch.cat([edges.new_full((1,), -math.inf), edges])
    return _blocks(lower, histogram.by_confidence, histogram.counts[0])


def correctness_blocks(histogram: Histogram) -> TiedBlocks:
    """Losses of all rows in their best order, up to the width of a cell."""
    lower = torch.arange(CORRECTNESS_CELLS, dtype=torch.float64) / (CORRECTNESS_CELLS - 1)
    return _blocks(lower, histogram.by_correctness, histogram.counts.new_zeros(()))


def _blocks(lower: Tensor, sums: Tensor, declined: Tensor) -> TiedBlocks:
    occupied = sums[0] > 0
    weight, value = sums[:, occupied].flip(1).cumsum(1)
    return TiedBlocks(lower[occupied].flip(0), weight, value, declined)
