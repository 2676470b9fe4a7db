"""Blurs: of a lens, of a move, of rough glass."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from lit_vlr.data.corruptions.convert import to_bytes


def gaussian_blur(x: np.ndarray, std: float, generator: Generator) -> np.ndarray:
    """A Gaussian."""
    blurred: np.ndarray = ndimage.gaussian_filter(x, (std, std, 0), mode="reflect")
    return blurred


def defocus_blur(x: np.ndarray, level: tuple[int, float], generator: Generator) -> np.ndarray:
    """A disk, as of a lens out of focus."""
    radius, edge = level
    offsets = np.arange(-radius - 2, radius + 3)  # with room for the blurred edge
    disk = (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2).astype(float)
    # The edge of the disk is blurred as by a small Gaussian lens, over 3 pixels up to a radius of 8 and over 5 above.
    kernel = ndimage.gaussian_filter(disk, edge, mode="constant", truncate=(1 if radius <= 8 else 2) / edge)
    kernel /= kernel.sum()
    return np.stack([ndimage.convolve(x[..., c], kernel, mode="reflect") for c in range(3)], -1)


def glass_blur(x: np.ndarray, level: tuple[float, int, int], generator: Generator) -> np.ndarray:
    """As behind rough glass: blurred, pixels swapped with ones nearby, blurred again.

    The released code says swap but copies, for both sides of its assignment are views of one array; it goes pixel by
    pixel, and leaves a border alone. Here they are swapped, and up to the border.
    """
    std, farthest, rounds = level
    moved = to_bytes(gaussian_blur(x, std, generator))
    for _ in range(rounds):
        swap_nearby(moved, farthest, generator)
    return gaussian_blur(moved / 255.0, std, generator)


def swap_nearby(pixels: np.ndarray, farthest: int, generator: Generator) -> None:
    """Swap each pixel with one up to ``farthest`` above or to the left, or one less below or to the right; in place."""
    height, width = pixels.shape[:2]
    down, right = generator.integers(-farthest, farthest, (2, height, width))
    # Pixels twice the distance apart never meet, and are swapped all at once.
    apart = 2 * farthest
    for top, left in product(range(min(apart, height)), range(min(apart, width))):
        rows, columns = np.arange(top, height, apart)[:, None], np.arange(left, width, apart)
        there = (
            np.clip(rows + down[rows, columns], 0, height - 1),
            np.clip(columns + right[rows, columns], 0, width - 1),
        )
        pixels[rows, columns], pixels[there] = pixels[there], pixels[rows, columns]


def motion_blur(x: np.ndarray, level: tuple[int, float], generator: Generator) -> np.ndarray:
    """As of a camera that moves, mostly sideways."""
    return smeared(x, *level, angle=np.deg2rad(generator.uniform(-45, 45)))


def smeared(x: np.ndarray, radius: int, std: float, angle: float) -> np.ndarray:
    """Weights of a half Gaussian along a line, as of a shutter that closes during a move; (H, W, C)."""
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * std**2))
    weights /= weights.sum()
    blurred = np.zeros_like(x)
    for step, weight in zip(steps, weights, strict=True):
        shift = (round(step * np.sin(angle)), round(step * np.cos(angle)), 0)
        blurred += weight * ndimage.shift(x, shift, order=0, mode="nearest")
    return blurred


def zoom_blur(x: np.ndarray, level: tuple[float, float], generator: Generator) -> np.ndarray:
    """The mean of ever larger copies, as of a camera that comes closer."""
    # `arange` of fractions: where its end is met within rounding it is sometimes one of the factors, as released.
    factors = np.arange(1, *level)
    total: np.ndarray = x + sum(zoomed(x, factor) for factor in factors)
    return total / (len(factors) + 1)


def zoomed(x: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge about the centre, and keep the size; (H, W, C)."""
    scale = np.array([1 / factor, 1 / factor, 1])
    centre = (np.array(x.shape) - 1) / 2
    larger: np.ndarray = ndimage.affine_transform(x, scale, centre * (1 - scale), order=1, mode="nearest")
    return larger
