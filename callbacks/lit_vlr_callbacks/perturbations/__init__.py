"""Threat models: what may happen to a picture, as parameters with a range."""

from lit_vlr_callbacks.perturbations.base import Params, Perturbation
from lit_vlr_callbacks.perturbations.brightness import Brightness
from lit_vlr_callbacks.perturbations.compose import Compose
from lit_vlr_callbacks.perturbations.contrast import Contrast
from lit_vlr_callbacks.perturbations.linf import Linf
from lit_vlr_callbacks.perturbations.rotate import Rotate

__all__ = ["Brightness", "Compose", "Contrast", "Linf", "Params", "Perturbation", "Rotate"]
