"""Draws a scene: 48 × 48 pixels, uint8. Detail is thin and faint on purpose, for that is what an L∞ attack can move."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from lit_vlr.data.scenes.knowledge import POSITIONS, SHAPES
from lit_vlr.data.scenes.layout import Scene, Split, Thing

IMAGE_SIZE = 48
CELL = IMAGE_SIZE // 2
_N_ANGLES = 720
_TRAIN_WRITERS = 1200  # the digits file is ordered by writer: later rows come from other hands

_TINTS = {
    "red": (1.0, -0.6, -0.6),
    "green": (-0.6, 0.9, -0.6),
    "blue": (-0.7, -0.3, 1.0),
    "yellow": (0.8, 0.7, -0.9),
    "purple": (0.7, -0.8, 0.7),
    "white": (0.8, 0.8, 0.8),
}
Array = np.ndarray
_YY, _XX = np.mgrid[0:CELL, 0:CELL].astype(np.float32)


@lru_cache(maxsize=1)
def _boundaries() -> dict[str, Array]:
    """Distance from the centre to the border of each unit shape, by angle; every shape here is star-shaped."""
    theta = np.linspace(0, 2 * np.pi, _N_ANGLES, endpoint=False)

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
def _digits() -> tuple[dict[str, list[Array]], dict[str, list[Array]]]:
    """Ink masks in [0, 1] by digit, in 14 and 18 pixels, of the training writers and of the others (real handwriting)."""
    data = load_digits()
    split: tuple[dict[str, list[Array]], dict[str, list[Array]]] = ({}, {})
    for i, (ink, label) in enumerate(zip(data.images, data.target, strict=True)):
        image = Image.fromarray((ink / 16 * 255).astype(np.uint8))
        sizes = [np.asarray(image.resize((s, s), Image.Resampling.BICUBIC), np.float32) / 255 for s in (14, 18)]
        split[int(i >= _TRAIN_WRITERS)].setdefault(str(label), []).extend(sizes)
    return split


@lru_cache(maxsize=1)
def _photos() -> list[Array]:
    images = load_sample_images().images
    return [np.asarray(Image.fromarray(i).resize((160, 106), Image.Resampling.BOX), np.float32) / 255 for i in images]


def _pattern(texture: str, rng: np.random.Generator, unseen: bool) -> Array:
    """A texture over one cell, in [-1, 1]. Unseen ones are the same four in another execution (turned, finer, rounder)."""
    phase = rng.uniform(0, 4, 2)
    period = rng.uniform(3.6, 4.6) if not unseen else rng.uniform(5.4, 6.0)
    k = 2 * np.pi / period
    if texture == "plain":
        return np.zeros((CELL, CELL), np.float32)
    if texture == "striped":
        across = _YY if not unseen else (_XX + _YY) * 0.7071
        return np.asarray(np.sign(np.sin(k * (across + phase[0]))))
    u, v = _XX + phase[0], _YY + phase[1]
    if unseen:
        u, v = (u + v) * 0.7071, (u - v) * 0.7071
    if texture == "dotted":
        return np.asarray(np.where((np.sin(k * u) > 0.1) & (np.sin(k * v) > 0.1), 1.0, -0.4))
    return np.asarray(np.sign(np.sin(k * u / 1.5)) * np.sign(np.sin(k * v / 1.5)))


def _background(kind: str, rng: np.random.Generator) -> Array:
    base = rng.uniform(0.38, 0.62) + rng.uniform(-0.06, 0.06, 3)
    canvas = np.broadcast_to(base, (IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    yy, xx = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE].astype(np.float32)
    if kind == "photo":
        photos = _photos()
        photo = photos[rng.integers(len(photos))]
        top, left = rng.integers(photo.shape[0] - IMAGE_SIZE), rng.integers(photo.shape[1] - IMAGE_SIZE)
        crop = photo[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
        return np.asarray(0.5 + 0.35 * (crop - crop.mean()), np.float32)
    if kind == "waves":
        angle, period = rng.uniform(0, np.pi), rng.uniform(9, 14)
        return canvas + 0.07 * np.sin(2 * np.pi * (xx * np.cos(angle) + yy * np.sin(angle)) / period)[..., None]
    if kind == "tiles":
        size = rng.integers(6, 10)
        return canvas + 0.05 * np.where((xx // size + yy // size) % 2 > 0, 1, -1)[..., None].astype(np.float32)
    if kind == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        ramp = (xx * np.cos(angle) + yy * np.sin(angle)) / IMAGE_SIZE
        canvas = canvas + rng.uniform(0.04, 0.12) * (ramp - ramp.mean())[..., None]
    elif kind == "smooth":
        coarse = rng.normal(0, 0.05, (4, 4, 3)).astype(np.float32)
        at = np.linspace(0, 2.999, IMAGE_SIZE)
        i, f = at.astype(int), (at % 1).astype(np.float32)
        rows = coarse[i] * (1 - f)[:, None, None] + coarse[i + 1] * f[:, None, None]
        canvas = canvas + rows[:, i] * (1 - f)[None, :, None] + rows[:, i + 1] * f[None, :, None]
    return canvas + rng.normal(0, 0.03 if kind == "grain" else 0.012, canvas.shape).astype(np.float32)


def _paint(cell: Array, thing: Thing, rng: np.random.Generator, split: Split) -> None:
    """Draw one thing into its (24, 24, 3) cell, in place."""
    before = cell.copy()
    radius = 7.4 if thing.size == "small" else 9.4
    dy, dx = _YY - (CELL - 1) / 2 - rng.uniform(-1.6, 1.6), _XX - (CELL - 1) / 2 - rng.uniform(-1.6, 1.6)
    r, theta = np.hypot(dx, dy), np.arctan2(dy, dx) + rng.uniform(-0.25, 0.25) + np.pi / 2
    pattern = _pattern(thing.texture, rng, unseen=split == "ood_backgrounds")
    tint = np.asarray(_TINTS[thing.colour], np.float32) * thing.tint
    sign = -1.0 if rng.random() < 0.8 else 1.0
    if thing.is_digit:
        rho = np.full_like(r, radius + 1.2)
        hands = _digits()[int(split != "train")][thing.name]
        ink = hands[2 * rng.integers(len(hands) // 2) + int(thing.size == "large")]
        detail = np.zeros_like(r)
        top, left = (
            int(round(c - ink.shape[0] / 2)) for c in (CELL / 2 + rng.uniform(-1, 1), CELL / 2 + rng.uniform(-1, 1))
        )
        detail[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
        texture_amplitude = 0.45 * thing.contrast * (1 - detail)
        ink_amplitude = 1.1 * thing.contrast
    else:
        rho = (
            radius
            * _boundaries()[thing.name][(np.mod(theta, 2 * np.pi) * (_N_ANGLES / (2 * np.pi))).astype(int) % _N_ANGLES]
        )
        detail = np.clip(1.3 - np.abs(r - rho), 0, 1)
        texture_amplitude = np.full_like(r, 0.6 * thing.contrast)
        ink_amplitude = thing.contrast
    inside = np.clip(0.5 - (r - rho), 0, 1)
    cell += (inside[..., None] * tint) + (inside * texture_amplitude * pattern)[..., None]
    cell += (sign * ink_amplitude * detail)[..., None]
    if thing.occlusion:
        width = int(round(thing.occlusion * 2 * radius))
        start = int(rng.integers(3, CELL - 3 - width))
        bar = (
            (slice(None), slice(start, start + width))
            if rng.random() < 0.5
            else (slice(start, start + width), slice(None))
        )
        cell[bar] = before[bar] * 0.9


def draw_scene(scene: Scene, rng: np.random.Generator, split: Split) -> Array:
    """Draw a scene.

    Args:
        scene: what stands where.
        rng: the scene's own generator; the same state gives the same bytes.
        split: ``train`` draws digits of the first 1,200 rows of the digits set (other hands elsewhere);
            ``ood_backgrounds`` draws the textures in an execution that no other split shows.

    Returns:
        (48, 48, 3) uint8.
    """
    canvas = _background(scene.background, rng)
    for _ in range(scene.clutter):  # specks and scratches
        y, x = rng.integers(0, IMAGE_SIZE - 1, 2)
        length, across = int(rng.integers(1, 9)), rng.random() < 0.5
        stroke = (slice(y, y + 1), slice(x, x + length)) if across else (slice(y, y + length), slice(x, x + 1))
        canvas[stroke] += rng.uniform(-0.2, 0.2)
    for thing in scene.things:
        row, column = divmod(POSITIONS.index(thing.position), 2)
        _paint(canvas[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL], thing, rng, split)
    return np.asarray(np.rint(np.clip(canvas, 0, 1) * 255), np.uint8)


assert set(_boundaries()) == set(SHAPES)
