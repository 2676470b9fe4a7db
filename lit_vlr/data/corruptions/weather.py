"""What comes between the camera and the scene."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from lit_vlr.data.corruptions.blur import smeared, zoomed
from lit_vlr.data.corruptions.textures import ice, plasma

_GREY = np.array([0.299, 0.587, 0.114])


def fog(x: np.ndarray, level: tuple[float, float], generator: Generator) -> np.ndarray:
    """Haze in clouds; the brightest stays as bright."""
    amount, decay = level
    height, width = x.shape[:2]
    side = 1 << max(max(height, width) - 1, 1).bit_length()
    haze = plasma(side, decay, generator)[:height, :width, None]
    brightest = float(x.max())
    foggy: np.ndarray = (x + amount * haze) * brightest / (brightest + amount)
    return foggy


def snow(x: np.ndarray, level: tuple[float, ...], generator: Generator) -> np.ndarray:
    """Flakes that fall, near and far, before a picture that is paler."""
    mean, std, size, threshold, radius, length, dimming = level
    drawn = zoomed(generator.normal(mean, std, (*x.shape[:2], 1)), size)
    flakes = np.where(drawn < threshold, 0, np.clip(drawn, 0, 1))
    fallen = smeared(flakes, int(radius), length, np.deg2rad(generator.uniform(-135, -45)))
    pale = dimming * x + (1 - dimming) * np.maximum(x, (x @ _GREY)[..., None] * 1.5 + 0.5)
    snowy: np.ndarray = pale + fallen + np.rot90(fallen, 2)
    return snowy


def frost(x: np.ndarray, level: tuple[float, float], generator: Generator) -> np.ndarray:
    """Ice on the lens.

    ImageNet-C adds cuttings of five photographs of frosted glass. They are not ours to pass on: here the ice is drawn
    (`lit_vlr.data.corruptions.textures.ice`), and only the weights are the published ones. Of all kinds this is the one
    whose figures should be compared to published ones the least.
    """
    kept, added = level
    frozen: np.ndarray = kept * x + added * ice(x.shape[0], x.shape[1], generator)
    return frozen


def brightness(x: np.ndarray, added: float, generator: Generator) -> np.ndarray:
    """Add to the value of HSV: the brightest channel gets it all, the others keep their ratio to it."""
    value: np.ndarray = x.max(-1, keepdims=True)
    hue: np.ndarray = np.where(value > 0, x / np.where(value > 0, value, 1), 1)
    return hue * np.minimum(value + added, 1)
