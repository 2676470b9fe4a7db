"""Which corruptions there are, and how strong each is at each severity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from lit_vlr.data.corruptions import blur, digital, noise, weather
from lit_vlr.data.corruptions.convert import to_bytes
from lit_vlr.errors import UserError

Corruption: TypeAlias = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "gaussian_blur",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg",
]
Severity: TypeAlias = Literal[1, 2, 3, 4, 5]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)

_LEVELS: dict[Corruption, tuple[Any, ...]] = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # standard deviation
    "shot_noise": (60, 25, 12, 5, 3),  # photons at white
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),  # share of the values
    "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),  # standard deviation relative to the value
    "gaussian_blur": (1, 2, 3, 4, 6),  # standard deviation in pixels
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),  # radius, blur of the disk's edge
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),  # blur, farthest move, rounds
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),  # radius, standard deviation along the line
    "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),  # end and step of the factors
    "snow": (  # mean and deviation of the flakes, their size, threshold; radius and deviation of their fall; dimming
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),  # weight of the picture, of the frost
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),  # amount, decay of the plasma's roughness
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),  # added to the value of HSV
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # factor
    "elastic_transform": (  # height and smoothness of the waves, move of the corners, in pixels of 244
        (2, 0.7, 0.1),
        (2, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    ),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),  # share of the side
    "jpeg": (25, 18, 15, 10, 7),  # quality
}

_KINDS: dict[Corruption, Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg": digital.jpeg,
}


def corrupt(
    pixels: np.ndarray, corruption: Corruption, severity: Severity, generator: np.random.Generator
) -> np.ndarray:
    """Corrupt a picture.

    Args:
        pixels: (H, W, 3) of uint8.
        corruption: one of `CORRUPTIONS`.
        severity: 1 to 5.
        generator: what is random is drawn from it.

    Returns:
        A new picture of the same shape, uint8.

    Raises:
        UserError: if there is no such corruption or severity.
    """
    check_corruption(corruption, severity)
    return to_bytes(_KINDS[corruption](pixels / 255.0, _LEVELS[corruption][severity - 1], generator))


def check_corruption(corruption: str, severity: int) -> None:
    """Refuse an unknown corruption or severity."""
    if corruption not in CORRUPTIONS:
        raise UserError(f"Expected `corruption` to be one of {', '.join(CORRUPTIONS)} but got {corruption!r}")
    if isinstance(severity, bool) or severity not in get_args(Severity):
        raise UserError(f"Expected `severity` from 1 to 5 but got {severity!r}")
