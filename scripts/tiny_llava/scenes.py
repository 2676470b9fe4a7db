"""The pre-training pictures: scenes with their labels, from seeds that no split of the data set uses."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from lit_vlr.data.scenes.draw import draw_scene
from lit_vlr.data.scenes.knowledge import COLOURS, DIGITS, POSITIONS, SHAPES, SIZES, TEXTURES
from lit_vlr.data.scenes.layout import Scene, sample_scene

PRETRAINING = 0x5CE4E5  # first word of every generator seed here; the data set's own seeds are small numbers
NAMES = SHAPES + DIGITS


def draw(index: int, seed: int) -> tuple[np.ndarray, Scene]:
    """One pre-training scene. Held-out combinations and backgrounds never occur here (split ``train``)."""
    rng = np.random.default_rng([PRETRAINING, seed, index])
    scene = sample_scene(rng, "train")
    if rng.random() < 0.3:  # many clear ones first: a small ViT learns nothing from faint pictures alone
        scene = replace(scene, things=tuple(replace(t, contrast=max(t.contrast, 0.25)) for t in scene.things))
    return draw_scene(scene, rng, "train"), scene


def draw_many(start: int, n: int, seed: int, workers: int = 2) -> tuple[np.ndarray, list[Scene]]:
    """Scenes ``start`` to ``start + n``: pictures (n, 48, 48, 3) uint8 and plans."""
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(partial(draw, seed=seed), range(start, start + n), chunksize=512))
    return np.stack([picture for picture, _ in drawn]), [scene for _, scene in drawn]


def cell_labels(scenes: list[Scene]) -> np.ndarray:
    """(n, 4 positions, 4 attributes): name, colour, texture, size; an empty cell has name 17 and else -1."""
    labels = np.full((len(scenes), len(POSITIONS), 4), -1, np.int64)
    labels[:, :, 0] = len(NAMES)
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            labels[row, POSITIONS.index(thing.position)] = (
                NAMES.index(thing.name),
                COLOURS.index(thing.colour),
                TEXTURES.index(thing.texture),
                SIZES.index(thing.size),
            )
    return labels
