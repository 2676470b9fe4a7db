"""Thin-plate spline deformation."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp, displace


class ThinPlate(Warp):
    """Bend each picture by a few control points, as a thin metal plate held at them would bend.

    The picture shows at p what lay at p - d(p), where d is the least bent function that takes the given offsets at the
    control points c_k: d(p) = a + A p + sum_k w_k U(|p - c_k|) with U(r) = r^2 log r, in coordinates that run from 0 to
    1 between the outermost pixel centres. Parameter: ``thin_plate`` (B, N^2, 2), offsets of the control points row by
    row, x (a fraction of the width) before y (of the height), identity 0. Offsets that are affine in the place give
    that affine map and no bending.

    Deviates from Kornia's ``get_tps_transform``, which moves the centres of U along with the offsets: with fixed
    centres d is linear in the offsets and is solved once a picture size instead of once a call.

    Args:
        magnitude: furthest a control point moves along either side, as a fraction of it; below half of their distance
            1 / (N - 1), so that none passes its neighbour.
        grid: control points a side, N, at least 2; the outermost ones are the corners.
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if the grid has fewer than 2 points a side, or the magnitude is negative or too large for it.

    Reference:
        Bookstein, Principal warps, IEEE TPAMI 11(6), 1989, section II.

    >>> ThinPlate(grid=4).shapes(None)
    {'thin_plate': (16, 2)}
    """

    def __init__(self, magnitude: float | str = 0.05, grid: int = 3, padding: Padding = "zeros") -> None:
        furthest = to_number(magnitude, "magnitude")
        if grid < 2:
            raise ValueError(f"Expected `grid` of at least 2 but got {grid}; the corners are control points")
        limit = 0.5 / (grid - 1)
        if not 0 <= furthest < limit:
            raise ValueError(
                f"Expected `magnitude` in [0, {limit:.3g}) but got {furthest:g}; it is a fraction of the side, and "
                f"control points must not pass each other: lower it, or `grid`, which is {grid}"
            )
        super().__init__({"thin_plate": 0.0}, {"thin_plate": -furthest}, {"thin_plate": furthest}, padding)
        self.grid = grid

    def _settings(self) -> dict[str, object]:
        return {"grid": self.grid, **super()._settings()}

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """Two numbers a control point."""
        return {"thin_plate": (self.grid**2, 2)}

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[-2:]
        shift = _influence(height, width, self.grid, images.dtype, images.device) @ params["thin_plate"]
        return displace(images, shift.view(-1, height, width, 2), self.padding)


@lru_cache(maxsize=4)
def _influence(height: int, width: int, points: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """How much each control point's offset moves each pixel, (H W, N^2); rows sum to 1."""
    # A cached tensor outlives its caller: one made in inference mode would be refused by autograd later.
    with torch.inference_mode(False), torch.no_grad():
        centres, pixels = _places(points, points), _places(height, width)
        system = torch.zeros(len(centres) + 3, len(centres) + 3, dtype=torch.float64)
        system[: len(centres)] = _terms(centres, centres)
        system[len(centres) :, : len(centres)] = _terms(centres, centres)[:, len(centres) :].T  # bends, and no more
        weights = torch.linalg.inv(system)[:, : len(centres)]
        influence: Tensor = _terms(pixels, centres) @ weights
        return influence.to(device, dtype)


def _places(rows: int, columns: int) -> Tensor:
    """(x, y) in [0, 1] row by row, (rows columns, 2) float64."""
    y, x = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (rows, columns))
    return torch.cartesian_prod(y, x).flip(1)


def _terms(places: Tensor, centres: Tensor) -> Tensor:
    """U(|p - c_k|) of every centre, then 1, x and y, (P, K + 3)."""
    squared = (places[:, None] - centres).square().sum(2)
    bending = torch.special.xlogy(squared, squared) / 2  # r^2 log r, and 0 at 0
    return torch.cat([bending, torch.ones_like(places[:, :1]), places], 1)
