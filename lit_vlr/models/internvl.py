"""InternVL 2.5, 3 and 3.5 in transformers' format: InternViT, pixel shuffle, an MLP, Qwen or another language model."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from lit_vlr.models.hf.tiled import TiledFamily
from lit_vlr.models.pixels import resize, split


class InternVL(TiledFamily):
    """An InternVL checkpoint (``…-hf``); see `lit_vlr.models.hf.settings.Settings` for the arguments.

    The picture is squeezed into the grid of at most ``max_patches`` tiles that suits it best; a thumbnail follows.
    ``processor: {crop_to_patches: false}`` is one tile a picture.

    Reference:
        Chen et al., How Far Are We to GPT-4V, arXiv 2404.16821, section 3.3.
    """

    title = "InternVL"
    model_types = ("internvl",)
    plain_prompt = (
        "<|im_start|>user\n<image>\n{question}\nAnswer the question using a single word or phrase.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    marker = "<IMG_CONTEXT>"
    begins = False
    joined = True
    end_tokens = ("<|im_end|>",)
    vision_targets = r".*vision_tower\..*\.(projection|q_proj|k_proj|v_proj|projection_layer|fc1|fc2)"
    default_mean = (0.485, 0.456, 0.406)
    default_std = (0.229, 0.224, 0.225)

    @property
    def tile(self) -> int:
        """Side of a tile."""
        return int(self.config.vision_config.image_size[0])

    def cut(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles."""
        most = int(self.preprocessing.get("max_patches", 12))
        # The file says no crops, and transformers' InternVL processor crops all the same: so does this, unless told.
        if not self.processor.get("crop_to_patches", True) or most < 2:
            return 1, 1
        least = int(self.preprocessing.get("min_patches", 1))
        columns, rows = get_optimal_tiled_canvas((height, width), (self.tile, self.tile), least, most)
        return rows, columns

    def canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """The picture's own size, unless it is larger than its grid."""
        height, width = super().canvas_size(height, width)
        rows, columns = (n * self.tile for n in self.cut(height, width))
        return (rows, columns) if rows < height and columns < width else (height, width)

    def tiles(self, image: Tensor) -> Tensor:
        """Tiles of a picture, and after them the whole, (T, 3, S, S)."""
        rows, columns = self.cut(image.shape[-2], image.shape[-1])
        tiles = split(resize(image, rows * self.tile, columns * self.tile, self.resample), self.tile)
        whole = resize(image, self.tile, self.tile, self.resample)[None]
        return tiles if len(tiles) == 1 else torch.cat([tiles, whole])

    def image_text(self, height: int, width: int) -> str:
        """Placeholders of all tiles between a begin and an end token."""
        rows, columns = self.cut(height, width)
        tiles = 1 if rows == columns == 1 else rows * columns + 1
        side = self.tile // self.config.vision_config.patch_size[0]
        return f"<img>{self.placeholder * (tiles * int(side * self.config.downsample_ratio) ** 2)}</img>"

    def tile_features(self, pixels: Tensor) -> Tensor:
        """Features of tiles."""
        features: Tensor = self.base.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
        return features
