"""Idefics3 and SmolVLM: SigLIP, a pixel-shuffling connector, Llama or SmolLM2; tiles and the whole picture."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from transformers.models.idefics3.image_processing_pil_idefics3 import get_resize_output_image_size

from lit_vlr.models.hf.family import LINEAR
from lit_vlr.models.hf.tiled import TiledFamily
from lit_vlr.models.hf.towers import Towers
from lit_vlr.models.pixels import resize, split


class Idefics3(TiledFamily):
    """An Idefics3 checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    The picture's longer side is brought to ``size``, both sides to multiples of ``max_image_size``; tiles of that, and
    after them the whole. ``processor: {do_image_splitting: false}`` is one tile a picture.

    Reference:
        Laurençon et al., Building and better understanding vision-language models, arXiv 2408.12637, section 4.1.
    """

    title = "Idefics3"
    model_types: ClassVar[tuple[str, ...]] = ("idefics3",)
    plain_prompt = (
        "<|begin_of_text|>User:<image>{question}\nAnswer the question using a single word or phrase."
        "<end_of_utterance>\nAssistant:"
    )
    end_tokens = ("<end_of_utterance>",)
    language_targets = rf".*text_model\..*\.{LINEAR}"
    vision_targets = r".*vision_model\..*\.(patch_embedding|q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
    default_mean = (0.5, 0.5, 0.5)
    default_std = (0.5, 0.5, 0.5)
    default_resample = 1

    @property
    def towers(self) -> Towers:
        """Idefics' own names."""
        return Towers(("model.vision_model",), ("model.connector",), ("model.text_model",))

    @property
    def tile(self) -> int:
        """Side of a tile."""
        return int(self.preprocessing.get("max_image_size", {"longest_edge": 364})["longest_edge"])

    @property
    def longest(self) -> int:
        """What the picture's longer side is brought to before it is cut."""
        return int(self.preprocessing.get("size", {"longest_edge": 4 * 364})["longest_edge"])

    def scaled(self, height: int, width: int) -> tuple[int, int]:
        """Height and width once the longer side is `longest`."""
        image = torch.empty(3, height, width, device="meta")  # its shape is all that is asked for
        rows, columns = get_resize_output_image_size(image, self.longest)  # type: ignore[arg-type]
        return int(rows), int(columns)

    def cut(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles; (1, 1) is no tiles but the whole."""
        if not self.preprocessing.get("do_image_splitting", True):
            return 1, 1
        height, width = self.scaled(height, width)
        ratio = width / height
        if width >= height:
            columns = math.ceil(width / self.tile)
            return math.ceil(int(columns * self.tile / ratio) / self.tile), columns
        rows = math.ceil(height / self.tile)
        return rows, math.ceil(int(rows * self.tile * ratio) / self.tile)

    def canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """The picture's own size, unless it is larger than what it is brought to."""
        height, width = super().canvas_size(height, width)
        return self.scaled(height, width) if max(height, width) > self.longest else (height, width)

    def tiles(self, image: Tensor) -> Tensor:
        """Tiles of a picture, and after them the whole, (T, 3, S, S)."""
        rows, columns = self.cut(image.shape[-2], image.shape[-1])
        scaled = resize(image, *self.scaled(image.shape[-2], image.shape[-1]), self.resample)
        whole = resize(scaled, rows * self.tile, columns * self.tile, self.resample)
        if rows == columns == 1:
            return whole[None]
        return torch.cat([split(whole, self.tile), resize(whole, self.tile, self.tile, self.resample)[None]])

    def image_text(self, height: int, width: int) -> str:
        """A token before each tile, with its place; the whole at the end."""
        side = self.config.vision_config.image_size // self.config.vision_config.patch_size
        features = self.placeholder * (side // self.config.scale_factor) ** 2
        rows, columns = self.cut(height, width)
        fence = "<fake_token_around_image>"
        whole = f"{fence}<global-img>{features}{fence}"
        if rows == columns == 1:
            return whole
        lines = ["".join(f"{fence}<row_{r + 1}_col_{c + 1}>{features}" for c in range(columns)) for r in range(rows)]
        return "".join(f"{line}\n" for line in lines) + f"\n{whole}"

    def tile_features(self, pixels: Tensor) -> Tensor:
        """Features of tiles.

        Not through ``get_image_features``, which takes a tile of nothing but zeros for padding and drops it: a picture
        of the channel means would have no features.
        """
        model = self.base.model
        features: Tensor = model.connector(model.vision_model(pixel_values=pixels, return_dict=True).last_hidden_state)
        return features


class SmolVLM(Idefics3):
    """A SmolVLM or SmolVLM2 checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Reference:
        Marafioti et al., SmolVLM, arXiv 2504.05299.
    """

    title = "SmolVLM"
    model_types = ("smolvlm", "idefics3")  # the first SmolVLM checkpoints say idefics3
    plain_prompt = (
        "<|im_start|>User:<image>{question}\nAnswer the question using a single word or phrase."
        "<end_of_utterance>\nAssistant:"
    )
