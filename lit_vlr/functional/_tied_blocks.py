"""Tied blocks: the one intermediate form from which every selective metric is computed.

A threshold cannot tell two equal confidences apart, so rows with equal confidence enter together. Everything a
selective metric may depend on is therefore a short table with one line per distinct confidence. A histogram over fixed
thresholds has the same form, which is how a constant-memory metric can reuse the formulas.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# +inf as a *threshold* means "abstain on everything", so it cannot also be the cut that answers the rows of
# confidence +inf. That cut is written as the largest finite float64, below which all of those rows lie.
_HIGHEST_CUT = torch.finfo(torch.float64).max


class TiedBlocks(NamedTuple):
    """Cumulative sums at the K cuts that a threshold can make, the most confident block first.

    Attributes:
        threshold: the confidence of each block, strictly decreasing, never +inf, (K,).
        answered: weight of the rows with ``confidence >= threshold``, (K,).
        value: weighted sum of what is being accumulated (losses, rewards) over the same rows, (K,).
    """

    threshold: Tensor
    answered: Tensor
    value: Tensor

    @property
    def coverage(self) -> Tensor:
        """Fraction of the weight that is answered, (K,); the last is exactly 1."""
        return self.answered / self.answered[-1]

    @property
    def mean(self) -> Tensor:
        """Mean value over the answered rows, (K,)."""
        return self.value / self.answered


def tied_blocks(confidence: Tensor, value: Tensor, weight: Tensor) -> TiedBlocks:
    """Group rows of equal confidence and accumulate from the most confident block down.

    Args:
        confidence: checked scores, float64, (N,).
        value: what to accumulate, float64, (N,).
        weight: checked weights, float64, (N,); rows of weight zero leave no trace, not even a threshold.
    """
    present = weight > 0
    confidence, value, weight = confidence[present].clamp(max=_HIGHEST_CUT), value[present], weight[present]
    # Value and weight are sort keys too: floating-point sums depend on the order of their terms, and with this order
    # two permutations of one data set give the same bits, not only the same number up to rounding.
    order = torch.argsort(weight, stable=True)
    order = order[torch.argsort(value[order], stable=True)]
    order = order[torch.argsort(confidence[order], descending=True, stable=True)]
    confidence, value, weight = confidence[order], value[order], weight[order]

    is_last_of_block = torch.ones_like(confidence, dtype=torch.bool)
    is_last_of_block[:-1] = confidence[1:] != confidence[:-1]
    return TiedBlocks(
        threshold=confidence[is_last_of_block],
        answered=weight.cumsum(0)[is_last_of_block],
        value=(weight * value).cumsum(0)[is_last_of_block],
    )


def with_origin(cumulative: Tensor) -> Tensor:
    """Prepend the zero that a cumulative sum starts from, (K,) -> (K + 1,)."""
    return torch.cat([cumulative.new_zeros(1), cumulative])
