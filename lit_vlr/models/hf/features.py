"""Projected image features of some pictures, so that several questions on one picture need the vision tower once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling


@dataclass(frozen=True)
class ImageFeatures:
    """What the vision tower and the projector make of pictures.

    Attributes:
        pooled: the features that stand in for the placeholders, (tokens_i, D) a picture.
        joined: whether transformers takes them in one tensor.
        grids: patches in time, rows and columns of each picture, (B, 3); the Qwen families' only.
        deepstack: features that are added behind early layers of the language model, by layer and picture; Qwen3-VL's.
    """

    pooled: tuple[Tensor, ...]
    joined: bool = False
    grids: Tensor | None = None
    deepstack: tuple[tuple[Tensor, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.pooled)

    def rows(self, index: Sequence[int]) -> ImageFeatures:
        """Features of these pictures, in this order; a picture may be named several times."""
        return replace(
            self,
            pooled=tuple(self.pooled[i] for i in index),
            grids=None if self.grids is None else self.grids[list(index)],
            deepstack=tuple(tuple(layer[i] for i in index) for layer in self.deepstack),
        )

    def repeat(self, k: int) -> ImageFeatures:
        """Each picture k times in a row."""
        return self.rows([i for i in range(len(self)) for _ in range(k)])

    def inputs(self) -> dict[str, Any]:
        """What the transformers model takes in place of ``pixel_values``; a new one each time: it is written to."""
        pooled: Any = torch.cat(self.pooled) if self.joined else list(self.pooled)
        outputs: Any = BaseModelOutputWithPooling(pooler_output=pooled)
        if self.deepstack:
            outputs.deepstack_features = [list(layer) for layer in self.deepstack]
        return {"mm_encoder_outputs": {"image": outputs}}
