"""Qwen2-VL: pictures at their own resolution, positions in three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from lit_vlr.models.hf.family import TransformersFamily
from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.hf.towers import Towers
from lit_vlr.models.pixels import patchify, resize


class Qwen2VL(TransformersFamily):
    """A Qwen2-VL checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    A picture is resized so that its sides are multiples of two patches and its area within ``size`` of the processor
    (``processor: {max_pixels: 401408}`` bounds the tokens to 512); that is the canvas.

    Reference:
        Wang et al., Qwen2-VL, arXiv 2409.12191, section 2.1.
    """

    title = "Qwen2-VL"
    model_types = ("qwen2_vl",)
    plain_prompt = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<image>{question}\n"
        "Answer the question using a single word or phrase.<|im_end|>\n<|im_start|>assistant\n"
    )
    marker = "<|vision_start|><|image_pad|><|vision_end|>"
    begins = False
    end_tokens = ("<|im_end|>",)
    vision_targets = r".*visual\.blocks\..*\.(qkv|proj|fc1|fc2)"

    @property
    def towers(self) -> Towers:
        """The projector is the merger, inside of the vision tower."""
        return Towers(("model.visual",), ("model.visual.merger",), ("model.language_model",))

    @property
    def patch(self) -> int:
        """Side of a patch."""
        return int(self.config.vision_config.patch_size)

    @property
    def merge(self) -> int:
        """Patches a side that become one feature."""
        return int(self.config.vision_config.spatial_merge_size)

    def settled(self, height: int, width: int) -> tuple[int, int]:
        """The size at which a picture is looked at."""
        size = self.preprocessing.get("size") or {}
        least = self.preprocessing.get("min_pixels") or size.get("shortest_edge", 56 * 56)
        most = self.preprocessing.get("max_pixels") or size.get("longest_edge", 28 * 28 * 1280)
        rows, columns = smart_resize(height, width, self.patch * self.merge, least, most)
        return int(rows), int(columns)

    def canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which it is looked at."""
        return self.settled(*super().canvas_size(height, width))

    def pixel_inputs(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Patches of all pictures, (ΣN, 3 · 2 · p²), and the rows and columns of each, (B, 3)."""
        sizes = [self.settled(image.shape[-2], image.shape[-1]) for image in images]
        temporal = int(self.config.vision_config.temporal_patch_size)
        patches = [
            patchify(self.normalise(resize(image, *size, self.resample)), self.patch, self.merge, temporal)
            for image, size in zip(images, sizes, strict=True)
        ]
        grids = [[1, rows // self.patch, columns // self.patch] for rows, columns in sizes]
        return {"pixel_values": torch.cat(patches), "image_grid_thw": torch.tensor(grids, device=images[0].device)}

    def image_text(self, height: int, width: int) -> str:
        """Placeholders between a begin and an end token."""
        rows, columns = self.settled(height, width)
        count = rows * columns // (self.patch * self.merge) ** 2
        ends = (self.config.vision_start_token_id, self.config.vision_end_token_id)
        begin, end = self.tokenizer.convert_ids_to_tokens(ends)
        return f"{begin}{self.placeholder * count}{end}"

    def encode_images(self, images: Tensor | Sequence[Tensor]) -> ImageFeatures:
        """Features of canvases in [0, 1], with their grids."""
        inputs = self.pixel_inputs(list(images))
        grids = inputs["image_grid_thw"]
        outputs = self.base.model.get_image_features(self.cast(inputs["pixel_values"]), grids, return_dict=True)
        layers = getattr(outputs, "deepstack_features", None) or ()
        return ImageFeatures(tuple(outputs.pooler_output), grids=grids, deepstack=tuple(map(tuple, layers)))

    def text_inputs(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None) -> dict[str, Tensor]:
        """Grids, and which tokens are of the picture (1).

        Without the latter Qwen2.5-VL counts positions in one dimension, silently; the others refuse.
        """
        assert features.grids is not None
        types = (ids == self.config.image_token_id).int()
        return {"image_grid_thw": features.grids, "mm_token_type_ids": types}

    def packed_positions(self, ids: Tensor, positions: Tensor, features: ImageFeatures) -> Tensor:
        """In three dimensions, (3, B, L): behind the picture, places shift by what it takes less than it has tokens."""
        spatial, shift = self.base.model.get_rope_index(ids, **self.text_inputs(ids, features))
        picture = ids == self.config.image_token_id
        behind = picture.cumsum(1).eq(picture.sum(1, keepdim=True)) & ~picture
        found: Tensor = torch.where(behind, positions + shift, spatial)
        return found
