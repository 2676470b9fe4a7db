"""*Scenes*: knowledge VQA on small pictures drawn by the package itself, deterministic from a seed.

The same (split, seed, index) gives the same bytes with the same numpy, Pillow and scikit-learn, whatever the order or
the number of processes that ask for it. A processor whose ``sin`` or ``hypot`` rounds the last place differently gives
the same questions and answers, and at worst one value in about one picture in fifty that is one grey level off.
"""

from __future__ import annotations

from lit_vlr.data.scenes.build import make_sample, make_scenes
from lit_vlr.data.scenes.draw import draw_scene
from lit_vlr.data.scenes.export import export_scenes
from lit_vlr.data.scenes.layout import OOD_SPLITS, SPLITS, Scene, Split, Thing, sample_scene
from lit_vlr.data.scenes.parts import IMAGE_SIZE

__all__ = [
    "IMAGE_SIZE",
    "OOD_SPLITS",
    "SPLITS",
    "Scene",
    "Split",
    "Thing",
    "draw_scene",
    "export_scenes",
    "make_sample",
    "make_scenes",
    "sample_scene",
]
