"""LLaVA-1.5: CLIP vision tower, two-layer projector, Llama. Also the embedded model is one."""

from __future__ import annotations

from torch import Tensor

from lit_vlr.models.hf.square import SquareFamily
from lit_vlr.models.pixels import center_crop, resize


class Llava(SquareFamily):
    """A LLaVA-1.5 checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Its image processor resizes the shorter side and crops the middle. ``processor: {do_center_crop: false}`` squeezes
    the whole picture into the square instead.

    Reference:
        Liu et al., Improved Baselines with Visual Instruction Tuning, arXiv 2310.03744.
    """

    title = "LLaVA"
    model_types = ("llava",)

    @property
    def image_tokens(self) -> int:
        """Placeholders a picture takes."""
        return self.patches + self.kept

    def image_text(self, height: int, width: int) -> str:
        """One placeholder a feature."""
        return self.placeholder * self.image_tokens

    def canvas(self, image: Tensor) -> Tensor:
        """The square in the middle, or all of the picture squeezed into one."""
        height, width = image.shape[-2:]
        if height == width or not self.preprocessing.get("do_center_crop", False):
            return resize(image, self.side, self.side, self.resample)
        short = min(height, width)
        scaled = resize(image, int(self.side * height / short), int(self.side * width / short), self.resample)
        return center_crop(scaled, self.side)
