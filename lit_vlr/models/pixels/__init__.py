"""What image processors do to pictures, in torch and differentiable to every pixel.

Pictures are float32 in [0, 1], not normalised; the sizes come from transformers' own rules.
"""

from lit_vlr.models.pixels.patches import patchify
from lit_vlr.models.pixels.resize import Resample, resample_of, resize
from lit_vlr.models.pixels.tiles import center_crop, pad_to, split

__all__ = ["Resample", "center_crop", "pad_to", "patchify", "resample_of", "resize", "split"]
