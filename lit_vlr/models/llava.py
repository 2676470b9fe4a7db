"""LLaVA-1.5: CLIP vision tower, two-layer projector, Llama. Also the embedded model is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from lit_vlr.errors import UserError
from lit_vlr.models.base import IMAGE
from lit_vlr.models.hf import ImageFeatures, Towers, TransformersFamily
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization


class Llava(TransformersFamily):
    """A LLaVA checkpoint under QLoRA.

    Args:
        name_or_path: ``tiny-llava`` (embedded), a folder, or a hub name.
        quantization: how the language model is held; vision tower and projector are never quantised.
        lora: adapters; None trains none (evaluation of the base model).
        prompt: the text around the question; ``{question}`` and one ``<image>``.
        image_size: side that pictures are resized to; None takes the vision tower's own.
        image_mean: channel means in [0, 1] units.
        image_std: channel standard deviations.
        gradient_checkpointing: recompute activations in the backward pass (non-reentrant, as attacks require).

    Raises:
        UserError: if a local checkpoint is missing or of another architecture, or the prompt lacks a field.
    """

    title: ClassVar[str] = "LLaVA"
    model_types: ClassVar[tuple[str, ...]] = ("llava",)

    def __init__(
        self,
        name_or_path: str = "tiny-llava",
        quantization: Quantization = Quantization(),  # noqa: B008 - frozen
        lora: Lora | None = Lora(),  # noqa: B008 - frozen
        prompt: str = "<image>\n{question}\nAnswer:",
        image_size: int | None = None,
        image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073),
        image_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711),
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(name_or_path, quantization, lora, prompt, gradient_checkpointing)
        self._image_size = image_size
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(image_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(image_std).view(3, 1, 1), persistent=False)

    def check_config(self, config: Any) -> None:  # noqa: ANN401
        """A picture has to be whole patches."""
        side = config.vision_config.image_size / config.vision_config.patch_size
        if not math.isclose(side, round(side)):
            raise UserError(f"Expected a picture of whole patches but {self.name_or_path!r} has {side:.2f} a side")

    @property
    def towers(self) -> Towers:
        """CLIP, the projector, Llama."""
        return Towers(("model.vision_tower",), ("model.multi_modal_projector",), ("model.language_model",))

    @property
    def language_targets(self) -> str:
        """Every linear layer."""
        return r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"

    @property
    def vision_targets(self) -> str:
        """Every linear layer of the blocks, and the patch embedding."""
        return r".*vision_tower\..*\.(patch_embedding|q_proj|k_proj|v_proj|out_proj|fc1|fc2)"

    @property
    def image_size(self) -> int:
        """Side of the canvas."""
        return int(self._image_size or self.config.vision_config.image_size)

    @property
    def image_tokens(self) -> int:
        """Placeholders a picture takes: one a patch (the class token is dropped)."""
        side = self.image_size // self.config.vision_config.patch_size
        extra = 0 if self.config.vision_feature_select_strategy == "default" else 1
        return int(side * side) + extra

    def image_text(self, height: int, width: int) -> str:
        """One placeholder a feature."""
        return IMAGE * self.image_tokens

    def canvas(self, image: Tensor) -> Tensor:
        """A square of `image_size`."""
        size = (self.image_size, self.image_size)
        if tuple(image.shape[1:]) == size:
            return image
        resized = F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)[0]
        return resized.clamp(0.0, 1.0)  # bicubic overshoots

    def pixel_values(self, images: Tensor) -> Tensor:
        """Normalise; the cast to the compute dtype is the last thing that happens to a pixel."""
        normalised = (images - self.mean) / self.std
        return normalised.to(self.base.model.vision_tower.dtype)

    def encode_images(self, images: Tensor | Sequence[Tensor]) -> ImageFeatures:
        """Projected features of each picture."""
        pixels = self.pixel_values(images if isinstance(images, Tensor) else torch.stack(list(images)))
        outputs = self.base.model.get_image_features(pixel_values=pixels, return_dict=True)
        return ImageFeatures(tuple(outputs.pooler_output))
