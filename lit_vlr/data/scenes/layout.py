"""Decides what stands where in a scene, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lit_vlr.data.scenes.knowledge import COLOURS, DIGITS, HELD_OUT, POSITIONS, SHAPES, SIZES, TEXTURES

Split = Literal["train", "calibration", "test", "ood_combinations", "ood_backgrounds", "ood_rephrased", "ood_knowledge"]
SPLITS: tuple[Split, ...] = (
    "train",
    "calibration",
    "test",
    "ood_combinations",
    "ood_backgrounds",
    "ood_rephrased",
    "ood_knowledge",
)
OOD_SPLITS = SPLITS[3:]


@dataclass(frozen=True)
class Thing:
    """One object: a shape, or a handwritten digit on a plate.

    Attributes:
        name: a shape, or a digit "0" to "9".
        colour: its tint (of the plate, for a digit).
        texture: its pattern.
        size: "small" or "large".
        position: which quarter of the picture it stands in.
        contrast: amplitude of its visible detail (outline or ink, texture) in [0, 1] pixel units.
        tint: amplitude of its colour in pixel units.
        occlusion: how much of its width something covers, 0 to 0.5.
    """

    name: str
    colour: str
    texture: str
    size: str
    position: str
    contrast: float
    tint: float
    occlusion: float

    @property
    def is_digit(self) -> bool:
        """Whether it is a handwritten digit."""
        return self.name in DIGITS

    def attribute(self, attribute: str) -> str | None:
        """The value of ``shape``, ``digit``, ``texture`` or ``colour``; None where the thing has no such attribute."""
        if attribute == "shape":
            return None if self.is_digit else self.name
        if attribute == "digit":
            return self.name if self.is_digit else None
        return str(getattr(self, attribute))

    def clarity(self, attribute: str) -> float:
        """How surely a person reads an attribute, in [0, 1]: logistic in its contrast, lowered by occlusion."""
        amplitude = self.tint if attribute == "colour" else self.contrast
        visible = 1.0 / (1.0 + np.exp(-(amplitude - 0.10) / 0.02))
        return float(visible * (1.0 - max(0.0, self.occlusion - 0.2) * (0.5 if attribute == "colour" else 1.8)))


@dataclass(frozen=True)
class Scene:
    """Things at distinct positions, and how much disturbs them.

    Attributes:
        things: two to four, in the order of their positions.
        clutter: number of specks and scratches, 0 to 3.
        background: one of `TRAIN_BACKGROUNDS` or `UNSEEN_BACKGROUNDS`.
    """

    things: tuple[Thing, ...]
    clutter: int
    background: str

    def at(self, position: str) -> Thing | None:
        """The thing at a position, None where there is none."""
        return next((t for t in self.things if t.position == position), None)


TRAIN_BACKGROUNDS = ("smooth", "grain", "gradient")
UNSEEN_BACKGROUNDS = ("photo", "waves", "tiles")


def sample_scene(rng: np.random.Generator, split: Split) -> Scene:
    """Draw the plan of one scene.

    Args:
        rng: the scene's own generator.
        split: ``ood_combinations`` uses only (name, colour) pairs that every other split leaves out;
            ``ood_backgrounds`` uses backgrounds that no other split has.
    """
    wants_held_out = split == "ood_combinations"
    n_things = int(rng.choice([2, 3, 4], p=[0.25, 0.4, 0.35]))
    positions = rng.permutation(len(POSITIONS))[:n_things]
    things = []
    for position in sorted(positions):
        name = str(rng.choice(SHAPES)) if rng.random() < 0.5 else str(rng.choice(DIGITS))
        colours = [c for c in COLOURS if ((name, c) in HELD_OUT) == wants_held_out]
        hard = rng.random() < 0.25
        things.append(
            Thing(
                name=name,
                colour=str(rng.choice(colours)),
                texture=str(rng.choice(TEXTURES)),
                size=str(rng.choice(SIZES)),
                position=POSITIONS[position],
                contrast=float(rng.uniform(0.05, 0.14) if hard else rng.uniform(0.16, 0.34)),
                tint=float(rng.uniform(0.05, 0.12) if hard and rng.random() < 0.5 else rng.uniform(0.12, 0.3)),
                occlusion=float(rng.uniform(0.2, 0.5)) if rng.random() < 0.12 else 0.0,
            )
        )
    backgrounds = UNSEEN_BACKGROUNDS if split == "ood_backgrounds" else TRAIN_BACKGROUNDS
    return Scene(tuple(things), clutter=int(rng.integers(0, 4)), background=str(rng.choice(backgrounds)))
