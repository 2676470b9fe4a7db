"""JPEG compression."""

from __future__ import annotations

from kornia.enhance import jpeg_codec_differentiable
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import require_rgb, same_at_identity


class Jpeg(Perturbation):
    """Compress each picture as JPEG and read it again, with Kornia's codec (4:2:0, standard tables).

    Parameter: ``jpeg_quality`` (B,), as in libjpeg, identity 100, where the picture itself is taken: the codec still
    rounds there. The gradient to the pixels can be used, the codec being smooth (it rounds by a polynomial, so that
    results differ a little from libjpeg's); that to the quality has the wrong sign as often as not. Hence search
    without gradients. Needs RGB pictures.

    Args:
        low: least quality, in [1, 100].

    Raises:
        ValueError: if ``low`` is not in [1, 100].

    Reference:
        Reich et al., Differentiable JPEG: The Devil is in the Details, arXiv 2309.06978 (the codec).
    """

    differentiable = False

    def __init__(self, low: float | str = 30) -> None:
        least = to_number(low, "low")
        if not 1 <= least <= 100:
            raise ValueError(f"Expected a quality in [1, 100] but got low={least:g}; 100 is the identity")
        super().__init__({"jpeg_quality": 100.0}, {"jpeg_quality": least}, {"jpeg_quality": 100.0})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        require_rgb(images, "JPEG")
        coded: Tensor = jpeg_codec_differentiable(images, params["jpeg_quality"])
        return same_at_identity(images, coded, params["jpeg_quality"] == 100)
