"""Common corruptions of pictures at five severities, bit for bit the same in any process and order.

The kinds and their parameters are those of ImageNet-C; the code, and with it every pixel, is not: the released one
crashes with current libraries and draws from a global stream, so that a picture depends on which came before it. Here
all that is random comes from a generator of (seed, uid, corruption, severity). Pictures keep their size: ImageNet-C
has all of them at 224 × 224, so that a blur of one radius is milder on a larger picture.

Reference: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019, Section 3 and appendix.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from PIL import Image
from scipy import ndimage

from lit_vlr.data.images import load_pixels
from lit_vlr.errors import UserError
from lit_vlr.types import ImageRef

Corruption: TypeAlias = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "gaussian_blur",
    "defocus_blur",
    "motion_blur",
    "fog",
    "contrast",
    "brightness",
    "pixelate",
    "jpeg",
]
Severity: TypeAlias = Literal[1, 2, 3, 4, 5]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
Pixels: TypeAlias = np.ndarray

_LEVELS: dict[str, tuple[Any, ...]] = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # standard deviation
    "shot_noise": (60, 25, 12, 5, 3),  # photons at white
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),  # share of the values
    "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),  # standard deviation relative to the value
    "gaussian_blur": (1, 2, 3, 4, 6),  # standard deviation in pixels
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),  # radius, blur of the disk's edge
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),  # radius, standard deviation along the line
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),  # amount, decay of the plasma's roughness
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # factor
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),  # added to the value of HSV
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),  # share of the side
    "jpeg": (25, 18, 15, 10, 7),  # quality
}


def corrupt(pixels: Pixels, corruption: Corruption, severity: Severity, generator: np.random.Generator) -> Pixels:
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
    return _KINDS[corruption](pixels, _LEVELS[corruption][severity - 1], generator)


def check_corruption(corruption: str, severity: int) -> None:
    """Refuse an unknown corruption or severity."""
    if corruption not in CORRUPTIONS:
        raise UserError(f"Expected `corruption` to be one of {', '.join(CORRUPTIONS)} but got {corruption!r}")
    if severity not in get_args(Severity):
        raise UserError(f"Expected `severity` from 1 to 5 but got {severity!r}")


@dataclass(frozen=True)
class CorruptedPicture:
    """A picture that is corrupted when it is loaded; see `lit_vlr.types.PictureSource`.

    Attributes:
        image: the clean one.
        corruption: which kind.
        severity: 1 to 5.
        seed: beside the uid, what everything random comes from.
    """

    image: ImageRef
    corruption: Corruption
    severity: Severity
    seed: int

    def pixels(self, uid: str) -> Pixels:
        """The corrupted picture of a sample."""
        key = zlib.crc32(f"{self.corruption}/{self.severity}/{uid}".encode())
        generator = np.random.default_rng([self.seed, key])
        return corrupt(load_pixels(self.image, uid), self.corruption, self.severity, generator)


def _in_unit(change: Callable[[Pixels, Any, np.random.Generator], Pixels]) -> Callable[..., Pixels]:
    """Bytes to numbers in [0, 1] and back, rounded."""

    def apply(pixels: Pixels, level: Any, generator: np.random.Generator) -> Pixels:  # noqa: ANN401
        changed = change(pixels / 255.0, level, generator)
        rounded: Pixels = np.rint(np.clip(changed, 0, 1) * 255).astype(np.uint8)
        return rounded

    return apply


def _gaussian_noise(x: Pixels, std: float, generator: np.random.Generator) -> Pixels:
    noisy: Pixels = x + generator.normal(0, std, x.shape)
    return noisy


def _shot_noise(x: Pixels, photons: float, generator: np.random.Generator) -> Pixels:
    counts: Pixels = generator.poisson(x * photons)
    return counts / photons


def _impulse_noise(x: Pixels, share: float, generator: np.random.Generator) -> Pixels:
    hit, white = generator.random(x.shape) < share, generator.random(x.shape) < 0.5
    return np.where(hit, white.astype(float), x)


def _speckle_noise(x: Pixels, std: float, generator: np.random.Generator) -> Pixels:
    return x + x * generator.normal(0, std, x.shape)


def _gaussian_blur(x: Pixels, std: float, generator: np.random.Generator) -> Pixels:
    blurred: Pixels = ndimage.gaussian_filter(x, (std, std, 0), mode="reflect")
    return blurred


def _defocus_blur(x: Pixels, level: tuple[int, float], generator: np.random.Generator) -> Pixels:
    radius, edge = level
    offsets = np.arange(-radius - 2, radius + 3)  # with room for the blurred edge
    disk = (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2).astype(float)
    # The edge of the disk is blurred as by a small Gaussian lens, over 3 pixels up to a radius of 8 and over 5 above.
    kernel = ndimage.gaussian_filter(disk, edge, mode="constant", truncate=(1 if radius <= 8 else 2) / edge)
    kernel /= kernel.sum()
    return np.stack([ndimage.convolve(x[..., c], kernel, mode="reflect") for c in range(3)], -1)


def _motion_blur(x: Pixels, level: tuple[int, float], generator: np.random.Generator) -> Pixels:
    """Weights of a half Gaussian along a line, as of a shutter that closes while the camera moves."""
    radius, std = level
    angle = np.deg2rad(generator.uniform(-45, 45))
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * std**2))
    weights /= weights.sum()
    blurred = np.zeros_like(x)
    for step, weight in zip(steps, weights, strict=True):
        shift = (round(step * np.sin(angle)), round(step * np.cos(angle)), 0)
        blurred += weight * ndimage.shift(x, shift, order=0, mode="nearest")
    return blurred


def _fog(x: Pixels, level: tuple[float, float], generator: np.random.Generator) -> Pixels:
    amount, decay = level
    height, width = x.shape[:2]
    side = 1 << max(max(height, width) - 1, 1).bit_length()
    haze = plasma(side, decay, generator)[:height, :width, None]
    brightest = float(x.max())  # which is what the brightest stays
    foggy: Pixels = (x + amount * haze) * brightest / (brightest + amount)
    return foggy


def plasma(side: int, decay: float, generator: np.random.Generator) -> Pixels:
    """Cloud-like noise in [0, 1] on a torus, (side, side), by midpoint displacement (diamond and square steps).

    Args:
        side: a power of two.
        decay: smaller is rougher; the displacement is divided by its square at each halving.
        generator: what it is drawn from.
    """
    field = np.zeros((side, side))
    step, roughness = side, 1.0
    while step > 1:
        half = step // 2

        def displaced(mean: Pixels, roughness: float = roughness) -> Pixels:
            return mean + roughness * generator.uniform(-1, 1, mean.shape)

        corners = field[::step, ::step]
        right, below = np.roll(corners, -1, 1), np.roll(corners, -1, 0)
        centres = displaced((corners + right + below + np.roll(right, -1, 0)) / 4)
        field[half::step, half::step] = centres
        # Each side's middle lies between two corners and two centres.
        field[::step, half::step] = displaced((corners + right + centres + np.roll(centres, 1, 0)) / 4)
        field[half::step, ::step] = displaced((corners + below + centres + np.roll(centres, 1, 1)) / 4)
        # Squared: the released code multiplies a uniform number between plus and minus the roughness by it once more.
        step, roughness = half, roughness / decay**2
    field -= field.min()
    scaled: Pixels = field / field.max()
    return scaled


def _contrast(x: Pixels, factor: float, generator: np.random.Generator) -> Pixels:
    mean = x.mean((0, 1), keepdims=True)
    flatter: Pixels = (x - mean) * factor + mean
    return flatter


def _brightness(x: Pixels, added: float, generator: np.random.Generator) -> Pixels:
    """Add to the value of HSV: the brightest channel gets it all, the others keep their ratio to it."""
    value: Pixels = x.max(-1, keepdims=True)
    hue: Pixels = np.where(value > 0, x / np.where(value > 0, value, 1), 1)
    return hue * np.minimum(value + added, 1)


def _pixelate(pixels: Pixels, share: float, generator: np.random.Generator) -> Pixels:
    picture = Image.fromarray(pixels)
    small = (max(1, int(picture.width * share)), max(1, int(picture.height * share)))
    return np.array(picture.resize(small, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST))


def _jpeg(pixels: Pixels, quality: int, generator: np.random.Generator) -> Pixels:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as compressed:
        return np.array(compressed.convert("RGB"))


_KINDS: dict[str, Callable[..., Pixels]] = {
    "gaussian_noise": _in_unit(_gaussian_noise),
    "shot_noise": _in_unit(_shot_noise),
    "impulse_noise": _in_unit(_impulse_noise),
    "speckle_noise": _in_unit(_speckle_noise),
    "gaussian_blur": _in_unit(_gaussian_blur),
    "defocus_blur": _in_unit(_defocus_blur),
    "motion_blur": _in_unit(_motion_blur),
    "fog": _in_unit(_fog),
    "contrast": _in_unit(_contrast),
    "brightness": _in_unit(_brightness),
    "pixelate": _pixelate,
    "jpeg": _jpeg,
}
