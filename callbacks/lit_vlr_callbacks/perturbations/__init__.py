"""Threat models: what may happen to a picture, as parameters with a range."""

from lit_vlr_callbacks.perturbations.base import Params, Perturbation
from lit_vlr_callbacks.perturbations.brightness import Brightness
from lit_vlr_callbacks.perturbations.color import ColorShift, Hue, Saturation
from lit_vlr_callbacks.perturbations.compose import Compose
from lit_vlr_callbacks.perturbations.contrast import Contrast
from lit_vlr_callbacks.perturbations.elastic import Elastic
from lit_vlr_callbacks.perturbations.erasing import Erasing
from lit_vlr_callbacks.perturbations.gamma import Gamma
from lit_vlr_callbacks.perturbations.gaussian_blur import GaussianBlur
from lit_vlr_callbacks.perturbations.jpeg import Jpeg
from lit_vlr_callbacks.perturbations.l0 import L0
from lit_vlr_callbacks.perturbations.l1 import L1
from lit_vlr_callbacks.perturbations.l2 import L2
from lit_vlr_callbacks.perturbations.linf import Linf
from lit_vlr_callbacks.perturbations.motion_blur import MotionBlur
from lit_vlr_callbacks.perturbations.noise import GaussianNoise, PlasmaIllumination
from lit_vlr_callbacks.perturbations.patch import Patch
from lit_vlr_callbacks.perturbations.perspective import Perspective
from lit_vlr_callbacks.perturbations.rotate import Rotate
from lit_vlr_callbacks.perturbations.scale import Scale
from lit_vlr_callbacks.perturbations.sharpness import Sharpness
from lit_vlr_callbacks.perturbations.shear import Shear
from lit_vlr_callbacks.perturbations.thin_plate import ThinPlate
from lit_vlr_callbacks.perturbations.tones import Equalize, Posterize, Solarize
from lit_vlr_callbacks.perturbations.translate import Translate
from lit_vlr_callbacks.perturbations.typographic import Typographic

__all__ = [
    "L0",
    "L1",
    "L2",
    "Brightness",
    "ColorShift",
    "Compose",
    "Contrast",
    "Elastic",
    "Equalize",
    "Erasing",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "Hue",
    "Jpeg",
    "Linf",
    "MotionBlur",
    "Params",
    "Patch",
    "Perspective",
    "Perturbation",
    "PlasmaIllumination",
    "Posterize",
    "Rotate",
    "Saturation",
    "Scale",
    "Sharpness",
    "Shear",
    "Solarize",
    "ThinPlate",
    "Translate",
    "Typographic",
]
