"""Noise that every value draws for itself."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator


def gaussian_noise(x: np.ndarray, std: float, generator: Generator) -> np.ndarray:
    """As of little light."""
    noisy: np.ndarray = x + generator.normal(0, std, x.shape)
    return noisy


def shot_noise(x: np.ndarray, photons: float, generator: Generator) -> np.ndarray:
    """As of counting photons: Poisson."""
    counts: np.ndarray = generator.poisson(x * photons)
    return counts / photons


def impulse_noise(x: np.ndarray, share: float, generator: Generator) -> np.ndarray:
    """Some values black or white, in equal parts."""
    hit, white = generator.random(x.shape) < share, generator.random(x.shape) < 0.5
    return np.where(hit, white.astype(float), x)


def speckle_noise(x: np.ndarray, std: float, generator: Generator) -> np.ndarray:
    """Noise in proportion to the value."""
    return x + x * generator.normal(0, std, x.shape)
