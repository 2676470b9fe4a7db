"""What all families that transformers implements share; a family's own file says only how it differs."""

from lit_vlr.models.hf.family import TransformersFamily
from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.hf.layout import Layout
from lit_vlr.models.hf.towers import Towers

__all__ = ["ImageFeatures", "Layout", "Towers", "TransformersFamily"]
