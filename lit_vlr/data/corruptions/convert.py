"""Numbers in [0, 1] to bytes, where a corruption works on bytes."""

from __future__ import annotations

import numpy as np


def to_bytes(x: np.ndarray) -> np.ndarray:
    """Rounded, and clipped to what a picture can hold."""
    rounded: np.ndarray = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    return rounded
