"""Elastic deformation on a coarse grid."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.warp import Padding, Warp, displace

_FOLD = 2.046392675  # K2 of Choi and Lee


class Elastic(Warp):
    """Move every pixel a little, and neighbours alike: a free-form deformation by cubic B-splines.

    The picture shows at p what lay at p - d(p), where d = sum over the control points of their offset times
    beta3(x/h - i) beta3(y/h - j), h the distance of the control points. Parameter: ``elastic`` (B, 2, N, N), offsets
    in x (fractions of the width) and y (of the height) by row and column of the control points, identity 0. The
    weights are positive and sum to 1, so no pixel moves further than the furthest control point, and equal offsets
    are a translation.

    Deviates from the elastic distortion of Simard et al. and Kornia's ``elastic_transform2d``, which smooth noise of
    the size of the picture by a wide Gaussian: a smooth field needs no more than a coarse grid, which makes the
    parameter small enough to search and to read, spares the convolutions, and bounds the way of a pixel exactly.

    Args:
        magnitude: furthest a pixel moves along either side, as a fraction of it. Below h / 2.046 the deformation
            never folds; with N points h is 1 / (N - 3).
        grid: control points a side, N, at least 4.
        padding: what lies beyond the border: ``zeros`` (black), ``border`` or ``reflection``.

    Raises:
        ValueError: if the grid has fewer than 4 points a side, or the magnitude is negative or could fold the picture.

    Reference:
        Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 18(8), 1999, section II-B.
        Choi and Lee, Injectivity conditions of 2D and 3D uniform cubic B-spline functions, Graphical Models 62(6),
        2000 (the bound).

    >>> Elastic(grid=5).shapes(None)
    {'elastic': (2, 5, 5)}
    """

    def __init__(self, magnitude: float | str = 0.02, grid: int = 7, padding: Padding = "zeros") -> None:
        furthest = to_number(magnitude, "magnitude")
        if grid < 4:
            raise ValueError(f"Expected `grid` of at least 4 but got {grid}; a cubic spline needs 4 control points")
        limit = 1 / (grid - 3) / _FOLD
        if not 0 <= furthest < limit:
            raise ValueError(
                f"Expected `magnitude` in [0, {limit:.3g}) but got {furthest:g}; it is a fraction of the side, and "
                f"further would fold the picture: lower it, or `grid`, which is {grid}"
            )
        super().__init__({"elastic": 0.0}, {"elastic": -furthest}, {"elastic": furthest}, padding)
        self.grid = grid

    def _settings(self) -> dict[str, object]:
        return {"grid": self.grid, **super()._settings()}

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """Two numbers a control point."""
        return {"elastic": (2, self.grid, self.grid)}

    def _warp(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[-2:]
        rows, columns = (_splines(side, self.grid, images) for side in (height, width))
        shift = rows @ params["elastic"] @ columns.T  # (B, 2, H, W): the spline is separable
        return displace(images, shift.permute(0, 2, 3, 1), self.padding)


def _splines(pixels: int, points: int, like: Tensor) -> Tensor:
    """The weight of each control point at each pixel of a side, (pixels, points); rows are positive and sum to 1."""
    place = torch.linspace(0, points - 3, pixels, dtype=like.dtype, device=like.device)
    centre = torch.arange(-1, points - 1, dtype=like.dtype, device=like.device)
    distance = (place[:, None] - centre).abs()
    # The cardinal cubic B-spline as a difference of truncated powers.
    return ((2 - distance).clamp_min(0) ** 3 - 4 * (1 - distance).clamp_min(0) ** 3) / 6
