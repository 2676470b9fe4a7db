"""What scenes are drawn from: outlines of shapes, handwritten digits, textures, photographs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

IMAGE_SIZE = 48
CELL = IMAGE_SIZE // 2
N_ANGLES = 720
TRAIN_WRITERS = 1200  # the digits file is ordered by writer: later rows come from other hands

Array = np.ndarray
YY, XX = np.mgrid[0:CELL, 0:CELL].astype(np.float32)


@lru_cache(maxsize=1)
def outlines() -> dict[str, Array]:
    """Distance from the centre to the border of each unit shape, by angle; every shape here is star-shaped."""
    theta = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False)

    def polygon(n: int) -> Array:
        fold = np.mod(theta, 2 * np.pi / n) - np.pi / n
        return np.asarray(np.cos(np.pi / n) / np.cos(fold))

    def star(points: int, inner: float) -> Array:
        half = np.pi / points
        fold = np.abs(np.mod(theta + half, 2 * half) - half)  # 0 at a tip, `half` at a notch
        # The edge is the straight line from the tip (1, 0) to the notch at angle `half`, in polar form.
        return np.asarray(inner * np.sin(half) / (inner * np.sin(half - fold) + np.sin(fold)))

    fold = np.abs(np.mod(theta + np.pi / 4, np.pi / 2) - np.pi / 4)
    arm = 0.36
    cross = np.minimum(1.0 / np.cos(fold), arm / np.maximum(np.sin(fold), 1e-6))
    area_matched = {"circle": 0.86, "triangle": 1.15, "square": 1.05, "cross": 1.0, "star": 1.15}
    shapes = {
        "circle": np.ones_like(theta),
        "triangle": polygon(3),
        "square": polygon(4),
        "pentagon": polygon(5),
        "hexagon": polygon(6),
        "star": star(5, 0.42),
        "cross": cross,
    }
    return {name: rho * area_matched.get(name, 1.0) for name, rho in shapes.items()}


@lru_cache(maxsize=1)
def digits() -> tuple[dict[str, list[Array]], dict[str, list[Array]]]:
    """Ink masks in [0, 1] by digit, of the training writers and of the others (real handwriting).

    Each list holds every row of the digits set twice, in 14 and then in 18 pixels.
    """
    data = load_digits()
    split: tuple[dict[str, list[Array]], dict[str, list[Array]]] = ({}, {})
    for i, (ink, label) in enumerate(zip(data.images, data.target, strict=True)):
        image = Image.fromarray((ink / 16 * 255).astype(np.uint8))
        sizes = [np.asarray(image.resize((s, s), Image.Resampling.BICUBIC), np.float32) / 255 for s in (14, 18)]
        split[int(i >= TRAIN_WRITERS)].setdefault(str(label), []).extend(sizes)
    return split


@lru_cache(maxsize=1)
def photos() -> list[Array]:
    """The two photographs that come with scikit-learn, (106, 160, 3) in [0, 1]."""
    images = load_sample_images().images
    return [np.asarray(Image.fromarray(i).resize((160, 106), Image.Resampling.BOX), np.float32) / 255 for i in images]


def texture_pattern(texture: str, rng: np.random.Generator, unseen: bool) -> Array:
    """A texture over one cell, in [-1, 1].

    Args:
        texture: one of `TEXTURES`.
        rng: the scene's own generator.
        unseen: the same four in another execution (turned, coarser).
    """
    phase = rng.uniform(0, 4, 2)
    period = rng.uniform(3.6, 4.6) if not unseen else rng.uniform(5.4, 6.0)
    k = 2 * np.pi / period
    if texture == "plain":
        return np.zeros((CELL, CELL), np.float32)
    if texture == "striped":
        across = YY if not unseen else (XX + YY) * 0.7071
        return np.asarray(np.sign(np.sin(k * (across + phase[0]))))
    u, v = XX + phase[0], YY + phase[1]
    if unseen:
        u, v = (u + v) * 0.7071, (u - v) * 0.7071
    if texture == "dotted":
        return np.asarray(np.where((np.sin(k * u) > 0.1) & (np.sin(k * v) > 0.1), 1.0, -0.4))
    return np.asarray(np.sign(np.sin(k * u / 1.5)) * np.sign(np.sin(k * v / 1.5)))
