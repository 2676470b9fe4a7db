"""Means as sums: what can be added up batch by batch and process by process, in memory that does not grow.

A vector of sums starts with the weight that the mean divides by; the rest are weighted sums.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ratio(sums: Tensor) -> Tensor:
    """A mean from its (weight, weighted sum); NaN where the weight is zero."""
    return sums[1] / sums[0]


def sums_in_cells(cell: Tensor, n_cells: int, *columns: Tensor) -> Tensor:
    """Sums of each column over the rows of each cell, (columns, n_cells).

    Args:
        cell: the cell of each row, int64, (N,).
        n_cells: how many there are.
        *columns: what to add up, float64, (N,) each.
    """
    sums = torch.zeros(len(columns), n_cells, dtype=torch.float64)
    return sums.index_add_(1, cell, torch.stack(columns))
