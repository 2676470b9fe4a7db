"""*Scenes*: knowledge VQA on small pictures drawn by the package itself, deterministic from a seed.

The same (split, seed, index) gives the same bytes on any machine with the same numpy and Pillow, whatever the order or
the number of processes that ask for it.
"""

from __future__ import annotations

from lit_vlr.data.scenes.build import make_sample, make_scenes
from lit_vlr.data.scenes.draw import IMAGE_SIZE, draw_scene
from lit_vlr.data.scenes.layout import OOD_SPLITS, SPLITS, Scene, Split, Thing, sample_scene

__all__ = [
    "IMAGE_SIZE",
    "OOD_SPLITS",
    "SPLITS",
    "Scene",
    "Split",
    "Thing",
    "draw_scene",
    "make_sample",
    "make_scenes",
    "sample_scene",
]
