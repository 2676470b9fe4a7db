"""Absolute positions of vision tower and adapter: stored on a 16 × 16 grid, resized to that of the picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def resize_positions(positions: Tensor, count: int) -> Tensor:
    """Bring positions of a square grid to a square grid of another size, by bicubic interpolation in float32.

    Args:
        positions: (G², D), row by row.
        count: number of patches, a square number.

    Returns:
        (count, D) in the dtype of ``positions``; differentiable to them. Themselves where the size is right.

    Raises:
        ValueError: if ``count`` is no square.
    """
    if len(positions) == count:
        return positions
    have, want = math.isqrt(len(positions)), math.isqrt(count)
    if want * want != count:
        raise ValueError(f"Expected a square number of patches but got {count}; pass square pictures")
    grid = positions.float().view(1, have, have, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, (want, want), mode="bicubic", align_corners=False)
    return resized[0].flatten(1).T.to(positions.dtype)


def sine_cosine_positions(dim: int, side: int) -> Tensor:
    r"""The adapter's frozen positions, (side², dim), float32.

    The first half of a vector encodes the column, the second the row, each as sines and then cosines of
    :math:`p / 10000^{2i / (\text{dim} / 2)}`.

    Args:
        dim: width, a multiple of 4.
        side: grid size.

    Example:
        >>> sine_cosine_positions(4, 2)[1]  # row 0, column 1: sin 1, cos 1, sin 0, cos 0
        tensor([0.8415, 0.5403, 0.0000, 1.0000])
    """
    rates = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * rates
    line = torch.cat([angles.sin(), angles.cos()], 1)  # (side, dim / 2)
    columns, rows = line.repeat(side, 1), line.repeat_interleave(side, 0)
    return torch.cat([columns, rows], 1).float()
