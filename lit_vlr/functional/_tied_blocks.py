"""Tied blocks: the one intermediate form from which every selective metric is computed.

A threshold cannot tell two equal confidences apart, so rows with equal confidence enter together. Everything a
selective metric may depend on is therefore a short table with one line per distinct confidence. A histogram over fixed
thresholds has the same form, which is how a constant-memory metric can reuse the formulas.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# +inf as a *threshold* means "abstain on everything", so it cannot also be the cut that answers the rows of
# confidence +inf. That cut is written as the largest finite float64, below which all of those rows lie.
HIGHEST_CUT = torch.finfo(torch.float64).max


class TiedBlocks(NamedTuple):
    """Cumulative sums at the K cuts that a threshold can make, the most confident block first.

    Of R weightings of the same rows at once (:func:`weighted_blocks`) all are (R, K), and `declined` is (R,); a
    weighting that leaves blocks out repeats its last cut.

    Attributes:
        threshold: the confidence of each block, strictly decreasing, never +inf, (K,).
        answered: weight of the rows with ``confidence >= threshold``, (K,).
        value: weighted sum of what is being accumulated (losses, rewards) over the same rows, (K,).
        declined: weight of the rows that no threshold answers, because the model declined in words.
    """

    threshold: Tensor
    answered: Tensor
    value: Tensor
    declined: Tensor

    @property
    def total(self) -> Tensor:
        """Weight of all rows."""
        return self.answered[..., -1:].sum(-1) + self.declined

    @property
    def coverage(self) -> Tensor:
        """Fraction of the weight that is answered, (K,); the last is exactly 1 where nothing was declined."""
        return self.answered / self.total[..., None]

    @property
    def mean(self) -> Tensor:
        """Mean value over the answered rows, (K,)."""
        return self.value / self.answered

    def forced(self) -> TiedBlocks:
        """The blocks up to coverage 1, for areas of losses: declined rows are given last, with loss 1."""
        if not bool(self.declined.any()):
            return self
        total = self.total[..., None]
        value = self.value[..., -1:].sum(-1) + self.declined
        return TiedBlocks(
            threshold=torch.cat([self.threshold, torch.full_like(total, -math.inf)], dim=-1),
            answered=torch.cat([self.answered, total], dim=-1),
            value=torch.cat([self.value, value[..., None]], dim=-1),
            declined=torch.zeros_like(self.declined),
        )


def tied_blocks(confidence: Tensor, value: Tensor, weight: Tensor, abstained: Tensor | None = None) -> TiedBlocks:
    """Group rows of equal confidence and accumulate from the most confident block down.

    Args:
        confidence: checked scores, float64, (N,).
        value: what to accumulate, finite, float64, (N,).
        weight: checked weights, float64, (N,); rows of weight zero leave no trace, not even a threshold.
        abstained: 1 for rows that no threshold answers, float64, (N,); they count in ``declined`` only.
    """
    answerable, declined = weight > 0, weight.new_zeros(())
    if abstained is not None:
        answerable = answerable & (abstained == 0)
        declined = weight[abstained == 1].sort().values.sum()  # sorted: permutations of the rows give the same bits
    if not bool(answerable.all()):
        confidence, value, weight = confidence[answerable], value[answerable], weight[answerable]
    confidence = confidence.clamp(max=HIGHEST_CUT)
    whole = bool((weight == weight.round()).all())
    if whole:
        # Sums of integers are exact, so the order within a block leaves no trace and the sort need not be stable;
        # numpy's is several times faster than torch's, as is `index_select` than indexing.
        order = torch.from_numpy(np.argsort(-confidence.numpy()))
    else:
        # Floating-point sums depend on the order of their terms; with value and weight as further sort keys two
        # permutations of one data set give the same bits, not only the same number up to rounding.
        order = torch.argsort(weight, stable=True)
        order = order[torch.argsort(value[order], stable=True)]
        order = order[torch.argsort(confidence[order], descending=True, stable=True)]
    confidence, value, weight = (column.index_select(0, order) for column in (confidence, value, weight))

    cut = _block_ends(confidence)
    cumulative = _exact_cumsum(weight * value) if whole else (weight * value).cumsum(0)
    return TiedBlocks(
        threshold=confidence.index_select(0, cut),
        answered=weight.cumsum(0).index_select(0, cut),  # exact for whole weights in any order
        value=cumulative.index_select(0, cut),
        declined=declined,
    )


def weighted_blocks(confidence: Tensor, value: Tensor, weights: Tensor, abstained: Tensor | None = None) -> TiedBlocks:
    """The blocks of R weightings of the same rows at once, (R, K): one sort for all of them.

    A block that a weighting leaves out would have a mean of 0 / 0 where it comes first. So each weighting keeps the
    cuts at which it answers more, and repeats the last one where that leaves fewer than K.

    Args:
        confidence: checked scores, float64, (N,).
        value: what to accumulate, finite, float64, (N,).
        weights: whole numbers, float64, at least one positive in each row, (R, N).
        abstained: 1 for rows that no threshold answers, float64, (N,); they count in ``declined`` only. A weighting
            that leaves nothing else has cuts that answer nothing.
    """
    declined = weights.new_zeros(len(weights))
    if abstained is not None:
        declined, answerable = weights @ abstained, abstained == 0
        confidence, value, weights = confidence[answerable], value[answerable], weights[:, answerable]
    confidence, order = confidence.clamp(max=HIGHEST_CUT).sort(descending=True)
    cut = _block_ends(confidence)
    if not len(cut):
        nothing = weights.new_zeros(len(weights), 0)
        return TiedBlocks(nothing, nothing, nothing, declined)
    weights = weights.index_select(1, order)
    threshold = confidence.index_select(0, cut).expand(len(weights), -1)
    answered = weights.cumsum(1).index_select(1, cut)
    cumulative = (weights * value.index_select(0, order)).cumsum(1).index_select(1, cut)
    more = with_origin(answered).diff() > 0
    place = torch.where(more, more.cumsum(1) - 1, len(cut))  # the column behind the last takes what is left out

    lowest = threshold.where(more, math.inf).amin(1, keepdim=True)

    def packed(column: Tensor, last: Tensor) -> Tensor:
        return last.repeat(1, len(cut) + 1).scatter_(1, place, column)[:, :-1]

    return TiedBlocks(
        threshold=packed(threshold, lowest),
        answered=packed(answered, answered[:, -1:]),
        value=packed(cumulative, cumulative[:, -1:]),
        declined=declined,
    )


def with_origin(cumulative: Tensor) -> Tensor:
    """Prepend the zero that a cumulative sum starts from, (..., K) -> (..., K + 1)."""
    return torch.cat([cumulative.new_zeros(*cumulative.shape[:-1], 1), cumulative], dim=-1)


def _block_ends(confidence: Tensor) -> Tensor:
    """Places of the last row of each block of sorted confidences, (K,)."""
    last_of_block = torch.ones_like(confidence, dtype=torch.bool)
    torch.ne(confidence[1:], confidence[:-1], out=last_of_block[:-1])
    return last_of_block.nonzero().squeeze(1)


def _exact_cumsum(terms: Tensor) -> Tensor:
    """Cumulative sum whose entries do not depend on the order of the terms before them, (N,).

    Integers add up exactly, so the terms are rounded to multiples of a power of two that is small enough for 62 bits to
    hold the sum of all: for a million losses a rounding of 1e-13 each. That replaces two of three sorts.
    """
    if terms.numel() == 0:
        return terms
    exponent = math.frexp(float(terms.abs().max()) * terms.numel())[1]
    scale = 2.0 ** min(62 - exponent, 1000)  # terms near the smallest float would ask for more than a float holds
    return terms.mul(scale).round_().to(torch.int64).cumsum(0).to(torch.float64).div_(scale)
