"""Families whose pictures become one square each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.models.hf.family import TransformersFamily


class SquareFamily(TransformersFamily):
    """A vision tower of one resolution, ``multi_modal_projector``, ``language_model``: LLaVA's layout."""

    vision_targets = r".*vision_tower\..*\.(patch_embedding|q_proj|k_proj|v_proj|out_proj|fc1|fc2)"

    def check_config(self, config: Any) -> None:  # noqa: ANN401
        """A picture has to be a square of whole patches."""
        if config.vision_config.model_type == "pixtral":
            raise UserError(
                f"Expected a vision tower of one resolution but {self.name_or_path!r} has Pixtral's; use Qwen2-VL, "
                "LLaVA-NeXT or another family for pictures at their own"
            )
        side = config.vision_config.image_size / config.vision_config.patch_size
        if not math.isclose(side, round(side)):
            raise UserError(f"Expected a picture of whole patches but {self.name_or_path!r} has {side:.2f} a side")

    @property
    def side(self) -> int:
        """Side of the square."""
        if isinstance(self._image_size, tuple):
            raise UserError(f"Expected `image_size` as one number but got {self._image_size}; {self.title} has squares")
        return int(self._image_size or self.config.vision_config.image_size)

    @property
    def patches(self) -> int:
        """Patches of the square."""
        return int(self.side // self.config.vision_config.patch_size) ** 2

    @property
    def kept(self) -> int:
        """Features that LLaVA's projector gets beside those of the patches: the first is dropped under ``default``.

        CLIP's first feature is its class token; SigLIP has none, and then loses a patch.
        """
        first = 0 if self.config.vision_config.model_type.startswith("siglip") else 1
        return first - int(self.config.vision_feature_select_strategy == "default")

    def canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """The square."""
        return self.side, self.side

    def pixel_inputs(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Normalised squares, (B, 3, S, S)."""
        return {"pixel_values": self.normalise(torch.stack([self.canvas(image) for image in images]))}
