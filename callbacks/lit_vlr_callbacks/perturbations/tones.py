"""Changes of the tone curve without usable gradients: posterize, solarize and equalize. Search them by sampling."""

from __future__ import annotations

from kornia.enhance import equalize, posterize, solarize
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import per_picture


class Posterize(Perturbation):
    """Keep the highest bits of each pixel's eight.

    Parameter: ``posterize_bits`` (B,), identity 8. Of a fraction only the whole number counts: 7.9 keeps 7 bits, and
    nothing but 8 is the identity. Its gradient is meaningless and that of the picture zero.

    Args:
        low: fewest bits, in [1, 8].

    Raises:
        ValueError: if ``low`` is not in [1, 8].
    """

    differentiable = False

    def __init__(self, low: float = 3) -> None:
        if not 1 <= low <= 8:
            raise ValueError(f"Expected bits in [1, 8] but got low={low:g}; 8 is the identity")
        super().__init__({"posterize_bits": 8.0}, {"posterize_bits": float(low)}, {"posterize_bits": 8.0})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        reduced: Tensor = posterize(images, params["posterize_bits"].floor().long())
        return reduced


class Solarize(Perturbation):
    """Invert the pixels at or above a threshold.

    Parameter: ``solarize_threshold`` (B,), in [0, 1] pixel units; identity 256/255, which no pixel reaches (at 1, white
    would turn black). A threshold moves no pixel but those it passes, so its gradient is zero.

    Args:
        low: least threshold, in [0, 1].

    Raises:
        ValueError: if ``low`` is not in [0, 1].
    """

    differentiable = False

    def __init__(self, low: float | str = 0.5) -> None:
        least = to_number(low, "low")
        if not 0 <= least <= 1:
            raise ValueError(f"Expected a threshold in [0, 1] but got low={least:g}; it is compared with pixels")
        above = 256 / 255
        super().__init__({"solarize_threshold": above}, {"solarize_threshold": least}, {"solarize_threshold": above})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        inverted: Tensor = solarize(images, params["solarize_threshold"])
        return inverted


class Equalize(Perturbation):
    """Blend each picture with the one whose channels have flat histograms.

    Parameter: ``equalize`` (B,), how much of the equalised picture, identity 0. The blend is linear in it, but the
    equalised picture has no gradient to the pixels, and so none to whatever came before it in a `Compose`: counted as
    not differentiable.

    Args:
        high: most of the equalised picture, in [0, 1].

    Raises:
        ValueError: if ``high`` is not in [0, 1].
    """

    differentiable = False

    def __init__(self, high: float | str = 1.0) -> None:
        most = to_number(high, "high")
        if not 0 <= most <= 1:
            raise ValueError(f"Expected an amount in [0, 1] but got high={most:g}; 1 is the equalised picture")
        super().__init__({"equalize": 0.0}, {"equalize": 0.0}, {"equalize": most})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        flat: Tensor = equalize(images)
        return images + per_picture(params["equalize"]) * (flat - images)
