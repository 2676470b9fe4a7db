"""Changes of colour: saturation, hue, and a shift of each channel."""

from __future__ import annotations

import math

from kornia.enhance import adjust_hue, adjust_saturation_with_gray_subtraction, shift_rgb
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import require_rgb, same_at_identity


class Saturation(Perturbation):
    """Blend each picture with its grey version: 0 is grey, 1 the picture, more than 1 stronger colours.

    Kornia's ``adjust_saturation_with_gray_subtraction``, as torchvision and Pillow do it, rather than its
    ``adjust_saturation``, which scales the S of HSV and has a kink wherever that reaches 1. Parameter: ``saturation``
    (B,), a factor, identity 1. Needs RGB pictures.

    Args:
        low: least factor, in [0, 1].
        high: greatest factor, at least 1.

    Raises:
        ValueError: if the range has negative factors or does not contain 1.
    """

    def __init__(self, low: float | str = 0.5, high: float | str = 1.5) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not bounds[0] >= 0:
            raise ValueError(f"Expected saturation factors of at least 0 but got low={bounds[0]:g}; 1 is the identity")
        super().__init__({"saturation": 1.0}, {"saturation": bounds[0]}, {"saturation": bounds[1]})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        require_rgb(images, "saturation")
        blended: Tensor = adjust_saturation_with_gray_subtraction(images, params["saturation"])
        return blended


class Hue(Perturbation):
    """Turn the hue of all pixels of a picture by one angle.

    Parameter: ``hue`` (B,), **radians**, identity 0; -pi and pi both give complementary colours. The gradient has a
    kink where a pixel passes one of the six corners of the colour circle. Needs RGB pictures.

    Args:
        low: least angle in radians, in [-pi, 0].
        high: greatest angle in radians, in [0, pi].

    Raises:
        ValueError: if the range leaves [-pi, pi] or does not contain 0.
    """

    def __init__(self, low: float | str = -0.5, high: float | str = 0.5) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not (-math.pi <= bounds[0] and bounds[1] <= math.pi):
            raise ValueError(f"Expected hue angles in [-pi, pi] but got {list(bounds)}; they are in radians")
        super().__init__({"hue": 0.0}, {"hue": bounds[0]}, {"hue": bounds[1]})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        require_rgb(images, "hue")
        turned: Tensor = adjust_hue(images, params["hue"])
        # The way to HSV and back is not bit-exact.
        return same_at_identity(images, turned, params["hue"] == 0)


class ColorShift(Perturbation):
    """Add one number to each channel of a picture, then clip: a colour cast.

    Parameters: ``shift_red``, ``shift_green`` and ``shift_blue``, each (B,), additive, in [0, 1] pixel units, identity
    0. Needs RGB pictures.

    Args:
        low: most that is taken away from a channel, in [-1, 0].
        high: most that is added, in [0, 1].

    Raises:
        ValueError: if the range leaves [-1, 1] or does not contain 0.
    """

    def __init__(self, low: float | str = -0.1, high: float | str = 0.1) -> None:
        bounds = to_number(low, "low"), to_number(high, "high")
        if not (-1 <= bounds[0] and bounds[1] <= 1):
            raise ValueError(f"Expected shifts in [-1, 1] but got {list(bounds)}; they are added to pixels in [0, 1]")
        names = ("shift_red", "shift_green", "shift_blue")
        super().__init__(dict.fromkeys(names, 0.0), dict.fromkeys(names, bounds[0]), dict.fromkeys(names, bounds[1]))

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        require_rgb(images, "a colour shift")
        shifted: Tensor = shift_rgb(images, *(params[name] for name in self.names))
        return shifted
