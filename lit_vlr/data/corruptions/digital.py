"""What processing does to a picture."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy import ndimage

from lit_vlr.data.corruptions.convert import to_bytes

_UNIT = 244
"""Pixels; the released code has 244 for 224, and its levels are multiples of it."""
_CORNER = 224 // 3
"""Pixels from the centre to the three points that are moved, of a picture of 224."""


def contrast(x: np.ndarray, factor: float, generator: Generator) -> np.ndarray:
    """Closer to the mean of each channel."""
    mean = x.mean((0, 1), keepdims=True)
    flatter: np.ndarray = (x - mean) * factor + mean
    return flatter


def elastic_transform(x: np.ndarray, level: tuple[float, float, float], generator: Generator) -> np.ndarray:
    """Skewed as a whole, and moved about in waves; mirrored beyond the border.

    The first two severities skew far and wave gently, the last three the other way round: what grows throughout is how
    much neighbours are torn apart. Both moves are made at once, from the pixels that arrive; the released code
    interpolates twice.
    """
    height, width = x.shape[:2]
    grid = np.mgrid[:height, :width].astype(float)
    where = skewed(grid, _UNIT * level[2], generator) + waves((height, width), level, generator)
    channels = [ndimage.map_coordinates(x[..., c], where, order=1, mode="reflect") for c in range(x.shape[2])]
    return np.stack(channels, -1)


def skewed(grid: np.ndarray, farthest: float, generator: Generator) -> np.ndarray:
    """Places after the affine map that moves each of three corners by up to ``farthest`` pixels either way.

    The corners are those of 224 × 224 whatever the size, where the released code takes a third of the picture's shorter
    side: of a strip a few pixels high it would leave nothing.
    """
    corners = np.array([[1, 1], [1, -1], [-1, -1]]) * float(_CORNER)
    moved = corners + generator.uniform(-farthest, farthest, corners.shape)
    # Solve [corner, 1] @ affine = moved.
    affine: np.ndarray = np.linalg.solve(np.column_stack([corners, np.ones(3)]), moved)
    centre = np.array(grid.shape[1:])[:, None, None] // 2
    places: np.ndarray = np.einsum("io,ihw->ohw", affine[:2], grid - centre) + affine[2][:, None, None] + centre
    return places


def waves(size: tuple[int, int], level: tuple[float, float, float], generator: Generator) -> np.ndarray:
    """Moves in pixels, (2, H, W): uniform noise, smoothed and scaled."""
    height, smoothness = _UNIT * level[0], _UNIT * level[1]
    noise = generator.uniform(-1, 1, (2, *size))
    moves: np.ndarray = ndimage.gaussian_filter(noise, (0, smoothness, smoothness), mode="reflect", truncate=3) * height
    return moves


def pixelate(x: np.ndarray, share: float, generator: Generator) -> np.ndarray:
    """Few large pixels."""
    picture = Image.fromarray(to_bytes(x))
    small = (max(1, int(picture.width * share)), max(1, int(picture.height * share)))
    return np.array(picture.resize(small, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)) / 255.0


def jpeg(x: np.ndarray, quality: int, generator: Generator) -> np.ndarray:
    """Compressed by Pillow."""
    buffer = BytesIO()
    Image.fromarray(to_bytes(x)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as compressed:
        return np.array(compressed.convert("RGB")) / 255.0
