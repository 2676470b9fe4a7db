"""Families that cut a picture into a number of tiles and know them again by that number: Idefics3 and InternVL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.models.hf.family import TransformersFamily
from lit_vlr.models.hf.features import ImageFeatures


class TiledFamily(TransformersFamily):
    """Every tile has the same number of features."""

    @abstractmethod
    def cut(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles; (1, 1) is the whole picture alone."""

    @abstractmethod
    def tiles(self, image: Tensor) -> Tensor:
        """Tiles of a picture, and after them the whole, (T, 3, S, S)."""

    @abstractmethod
    def tile_features(self, pixels: Tensor) -> Tensor:
        """Projected features of tiles, (ΣT, tokens, D)."""

    def pixel_inputs(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Tiles of all pictures, (ΣT, 3, S, S), and how many each has, (B,)."""
        tiles = [self.tiles(image) for image in images]
        numbers = torch.tensor([len(cut) for cut in tiles], device=images[0].device)
        return {"pixel_values": self.normalise(torch.cat(tiles)), "tiles": numbers}

    def encode_images(self, images: Tensor | Sequence[Tensor]) -> ImageFeatures:
        """Features of canvases in [0, 1]."""
        inputs = self.pixel_inputs(list(images))
        features = self.tile_features(self.cast(inputs["pixel_values"]))
        parts = torch.split(features, inputs["tiles"].tolist())
        return ImageFeatures(tuple(tiles.flatten(0, 1) for tiles in parts), joined=self.joined)
