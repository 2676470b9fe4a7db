"""Families that look at a picture as a whole and at tiles of it: LLaVA-NeXT and LLaVA-OneVision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension
from transformers.models.llava_next.modeling_llava_next import unpad_image

from lit_vlr.models.hf.family import TransformersFamily
from lit_vlr.models.hf.square import SquareFamily
from lit_vlr.models.pixels import pad_to, resize, split


class AnyResolutionFamily(SquareFamily):
    """One tile of the whole picture, squeezed; then, of the picture fitted into the best of some grids, its tiles.

    The same pixels feed both, so what is attacked is the canvas that they are made of.
    """

    @property
    def tile(self) -> int:
        """Side of a tile."""
        return int(self.config.vision_config.image_size)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the best grid for a picture, in pixels."""
        rows, columns = select_best_resolution((height, width), self.config.image_grid_pinpoints)
        return int(rows), int(columns)

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a picture that fills its grid in one direction."""
        image = torch.empty(3, height, width, device="meta")  # its shape is all that is asked for
        grid = self.grid(height, width)
        rows, columns = get_patch_output_size(image, grid, ChannelDimension.FIRST)  # type: ignore[no-untyped-call]
        return int(rows), int(columns)

    def canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """The picture's own size, also where it is larger than its grid: how many features it has depends on it."""
        return TransformersFamily.canvas_size(self, height, width)

    def pixel_inputs(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Tiles of all pictures, (ΣT, 3, S, S), the whole picture first; and the size of each picture, (B, 2)."""
        tiles = []
        for image in images:
            height, width = image.shape[-2:]
            whole = resize(image, self.tile, self.tile, self.resample)
            fitted = resize(image, *self.fitted(height, width), self.resample)
            tiles += [whole[None], split(pad_to(fitted, *self.grid(height, width)), self.tile)]
        sizes = torch.tensor([image.shape[-2:] for image in images], device=images[0].device)
        return {"pixel_values": self.normalise(torch.cat(tiles)), "image_sizes": sizes}

    def image_text(self, height: int, width: int) -> str:
        """One placeholder a feature: the whole, the tiles without their padding, a newline a row."""
        side = self.tile // int(self.config.vision_config.patch_size)
        rows, columns = (length // self.tile * side for length in self.grid(height, width))
        kept = unpad_image(torch.empty(1, rows, columns, device="meta"), (height, width))  # type: ignore[no-untyped-call]
        rows, columns = self.shrunk(kept.shape[1], kept.shape[2], side)
        return self.placeholder * (side * side + self.kept + rows * (columns + 1))

    def shrunk(self, rows: int, columns: int, side: int) -> tuple[int, int]:
        """Rows and columns of the tiles' features that are left."""
        return rows, columns
