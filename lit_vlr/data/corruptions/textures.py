"""What fog and frost are drawn with."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.spatial import cKDTree

_CELL = 30
"""Pixels across a crystal, about."""
_TINT = np.array([0.86, 0.94, 1.0])


def plasma(side: int, decay: float, generator: Generator) -> np.ndarray:
    """Cloud-like noise in [0, 1] on a torus, (side, side), by midpoint displacement (diamond and square steps).

    Args:
        side: a power of two.
        decay: smaller is rougher; the displacement is divided by its square at each halving.
        generator: what it is drawn from.
    """
    field = np.zeros((side, side))
    step, roughness = side, 1.0
    while step > 1:
        half = step // 2

        def displaced(mean: np.ndarray, roughness: float = roughness) -> np.ndarray:
            return mean + roughness * generator.uniform(-1, 1, mean.shape)

        corners = field[::step, ::step]
        right, below = np.roll(corners, -1, 1), np.roll(corners, -1, 0)
        centres = displaced((corners + right + below + np.roll(right, -1, 0)) / 4)
        field[half::step, half::step] = centres
        # Each side's middle lies between two corners and two centres.
        field[::step, half::step] = displaced((corners + right + centres + np.roll(centres, 1, 0)) / 4)
        field[half::step, ::step] = displaced((corners + below + centres + np.roll(centres, 1, 1)) / 4)
        # Squared: the released code multiplies a uniform number between plus and minus the roughness by it once more.
        step, roughness = half, roughness / decay**2
    field -= field.min()
    scaled: np.ndarray = field / field.max()
    return scaled


def ice(height: int, width: int, generator: Generator) -> np.ndarray:
    """Frost on glass, (height, width, 3) in [0, 1]: crystals with needles, bright seams between, thick and thin places.

    Args:
        height: pixels.
        width: pixels.
        generator: what it is drawn from.
    """
    side = 1 << max(max(height, width) - 1, 1).bit_length()
    thick, rough = (plasma(side, decay, generator)[:height, :width] for decay in (1.5, 1.2))
    grid = np.moveaxis(np.mgrid[:height, :width], 0, -1) + 20 * (rough - 0.5)[..., None]  # jagged seams
    n = 4 + height * width // _CELL**2
    sites = generator.uniform(0, 1, (n, 2)) * (height, width)
    distances, nearest = cKDTree(sites).query(grid, k=2)
    seams = np.exp((distances[..., 0] - distances[..., 1]) / 2)
    owner = nearest[..., 0]
    direction = generator.uniform(0, np.pi, n)[owner]
    away = grid - sites[owner]
    across = away[..., 0] * np.sin(direction) + away[..., 1] * np.cos(direction)
    needles = np.abs(np.sin(across * generator.uniform(0.5, 1.2, n)[owner]))
    shade = generator.uniform(0.2, 1, n)[owner]
    amount = (0.3 * shade + 0.35 * needles * shade + 0.5 * seams) * (0.4 + 1.2 * thick)
    frosted: np.ndarray = np.clip(amount, 0, 1)[..., None] * _TINT
    return frosted
