"""Draws a scene: 48 × 48 pixels, uint8. Detail is thin and faint on purpose, for that is what an L∞ attack can move.

The order of the calls to the generator is part of the data set: another order draws other pictures.
"""

from __future__ import annotations

import numpy as np

from lit_vlr.data.scenes.knowledge import POSITIONS
from lit_vlr.data.scenes.layout import Scene, Split, Thing
from lit_vlr.data.scenes.parts import (
    CELL,
    IMAGE_SIZE,
    N_ANGLES,
    XX,
    YY,
    Array,
    digits,
    outlines,
    photos,
    texture_pattern,
)

_TINTS = {
    "red": (1.0, -0.6, -0.6),
    "green": (-0.6, 0.9, -0.6),
    "blue": (-0.7, -0.3, 1.0),
    "yellow": (0.8, 0.7, -0.9),
    "purple": (0.7, -0.8, 0.7),
    "white": (0.8, 0.8, 0.8),
}


def _photo_crop(rng: np.random.Generator) -> Array:
    photo = photos()[rng.integers(len(photos()))]
    top, left = rng.integers(photo.shape[0] - IMAGE_SIZE), rng.integers(photo.shape[1] - IMAGE_SIZE)
    crop = photo[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
    return np.asarray(0.5 + 0.35 * (crop - crop.mean()), np.float32)


def _smooth_noise(rng: np.random.Generator) -> tuple[Array, Array]:
    """A 4 × 4 grid of random colours, interpolated bilinearly: the two terms of the sum over columns."""
    coarse = rng.normal(0, 0.05, (4, 4, 3)).astype(np.float32)
    at = np.linspace(0, 2.999, IMAGE_SIZE)
    i, f = at.astype(int), (at % 1).astype(np.float32)
    rows = coarse[i] * (1 - f)[:, None, None] + coarse[i + 1] * f[:, None, None]
    return rows[:, i] * (1 - f)[None, :, None], rows[:, i + 1] * f[None, :, None]


def _background(kind: str, rng: np.random.Generator) -> Array:
    """(48, 48, 3) of floats near [0, 1]."""
    base = rng.uniform(0.38, 0.62) + rng.uniform(-0.06, 0.06, 3)
    canvas: Array = np.broadcast_to(base, (IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    yy, xx = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE].astype(np.float32)
    if kind == "photo":
        return _photo_crop(rng)
    if kind == "waves":
        angle, period = rng.uniform(0, np.pi), rng.uniform(9, 14)
        wave = np.sin(2 * np.pi * (xx * np.cos(angle) + yy * np.sin(angle)) / period)
        return np.asarray(canvas + 0.07 * wave[..., None])
    if kind == "tiles":
        size = rng.integers(6, 10)
        tiles = np.where((xx // size + yy // size) % 2 > 0, 1, -1)
        return np.asarray(canvas + 0.05 * tiles[..., None].astype(np.float32))
    if kind == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        ramp = (xx * np.cos(angle) + yy * np.sin(angle)) / IMAGE_SIZE
        canvas = canvas + rng.uniform(0.04, 0.12) * (ramp - ramp.mean())[..., None]
    elif kind == "smooth":
        left, right = _smooth_noise(rng)
        canvas = canvas + left + right
    return canvas + rng.normal(0, 0.03 if kind == "grain" else 0.012, canvas.shape).astype(np.float32)


def _scatter(canvas: Array, n: int, rng: np.random.Generator) -> None:
    """Draw specks and scratches, in place."""
    for _ in range(n):
        y, x = rng.integers(0, IMAGE_SIZE - 1, 2)
        length, across = int(rng.integers(1, 9)), rng.random() < 0.5
        stroke = (slice(y, y + 1), slice(x, x + length)) if across else (slice(y, y + length), slice(x, x + 1))
        canvas[stroke] += rng.uniform(-0.2, 0.2)


def _ink(thing: Thing, rng: np.random.Generator, split: Split) -> Array:
    """Somebody's handwritten digit in an otherwise empty cell, in [0, 1]."""
    hands = digits()[int(split != "train")][thing.name]
    ink = hands[2 * rng.integers(len(hands) // 2) + int(thing.size == "large")]
    middle = CELL / 2 + rng.uniform(-1, 1), CELL / 2 + rng.uniform(-1, 1)
    top, left = (round(c - ink.shape[0] / 2) for c in middle)
    detail = np.zeros((CELL, CELL), np.float32)
    detail[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return detail


def _cover(cell: Array, before: Array, share: float, radius: float, rng: np.random.Generator) -> None:
    """Put a bar over a share of the thing's width, in place: the background shows again, a little darker."""
    width = round(share * 2 * radius)
    start = int(rng.integers(3, CELL - 3 - width))
    bar = slice(start, start + width)
    where = (slice(None), bar) if rng.random() < 0.5 else (bar, slice(None))
    cell[where] = before[where] * 0.9


def _paint(cell: Array, thing: Thing, rng: np.random.Generator, split: Split) -> None:
    """Draw one thing into its (24, 24, 3) cell, in place."""
    before = cell.copy()
    radius = 7.4 if thing.size == "small" else 9.4
    dy, dx = YY - (CELL - 1) / 2 - rng.uniform(-1.6, 1.6), XX - (CELL - 1) / 2 - rng.uniform(-1.6, 1.6)
    r, theta = np.hypot(dx, dy), np.arctan2(dy, dx) + rng.uniform(-0.25, 0.25) + np.pi / 2
    pattern = texture_pattern(thing.texture, rng, unseen=split == "ood_backgrounds")
    tint = np.asarray(_TINTS[thing.colour], np.float32) * thing.tint
    sign = -1.0 if rng.random() < 0.8 else 1.0
    if thing.is_digit:
        rho = np.full_like(r, radius + 1.2)
        detail = _ink(thing, rng, split)
        texture_amplitude = 0.45 * thing.contrast * (1 - detail)
        ink_amplitude = 1.1 * thing.contrast
    else:
        step = (np.mod(theta, 2 * np.pi) * (N_ANGLES / (2 * np.pi))).astype(int) % N_ANGLES
        rho = radius * outlines()[thing.name][step]
        detail = np.clip(1.3 - np.abs(r - rho), 0, 1)
        texture_amplitude = np.full_like(r, 0.6 * thing.contrast)
        ink_amplitude = thing.contrast
    inside = np.clip(0.5 - (r - rho), 0, 1)
    cell += (inside[..., None] * tint) + (inside * texture_amplitude * pattern)[..., None]
    cell += (sign * ink_amplitude * detail)[..., None]
    if thing.occlusion:
        _cover(cell, before, thing.occlusion, radius, rng)


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
    _scatter(canvas, scene.clutter, rng)
    for thing in scene.things:
        row, column = divmod(POSITIONS.index(thing.position), 2)
        _paint(canvas[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL], thing, rng, split)
    return np.asarray(np.rint(np.clip(canvas, 0, 1) * 255), np.uint8)
