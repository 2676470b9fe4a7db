"""Threat models: what may happen to a picture, as parameters with a range."""

from lit_vlr_callbacks.perturbations.base import Params, Perturbation
from lit_vlr_callbacks.perturbations.brightness import Brightness
from lit_vlr_callbacks.perturbations.compose import Compose
from lit_vlr_callbacks.perturbations.contrast import Contrast
from lit_vlr_callbacks.perturbations.elastic import Elastic
from lit_vlr_callbacks.perturbations.gaussian_blur import GaussianBlur
from lit_vlr_callbacks.perturbations.linf import Linf
from lit_vlr_callbacks.perturbations.motion_blur import MotionBlur
from lit_vlr_callbacks.perturbations.perspective import Perspective
from lit_vlr_callbacks.perturbations.rotate import Rotate
from lit_vlr_callbacks.perturbations.scale import Scale
from lit_vlr_callbacks.perturbations.sharpness import Sharpness
from lit_vlr_callbacks.perturbations.shear import Shear
from lit_vlr_callbacks.perturbations.thin_plate import ThinPlate
from lit_vlr_callbacks.perturbations.translate import Translate

__all__ = [
    "Brightness",
    "Compose",
    "Contrast",
    "Elastic",
    "GaussianBlur",
    "Linf",
    "MotionBlur",
    "Params",
    "Perspective",
    "Perturbation",
    "Rotate",
    "Scale",
    "Sharpness",
    "Shear",
    "ThinPlate",
    "Translate",
]
