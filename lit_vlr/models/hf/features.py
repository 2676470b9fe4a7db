"""Projected image features of some pictures, so that several questions on one picture need the vision tower once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling


@dataclass(frozen=True)
class ImageFeatures:
    """What the vision tower and the projector make of pictures.

    Attributes:
        pooled: the features that stand in for the placeholders, (tokens_i, D) a picture.
    """

    pooled: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.pooled)

    def rows(self, index: Sequence[int]) -> ImageFeatures:
        """Features of these pictures, in this order; a picture may be named several times."""
        return ImageFeatures(tuple(self.pooled[i] for i in index))

    def repeat(self, k: int) -> ImageFeatures:
        """Each picture k times in a row."""
        return self.rows([i for i in range(len(self)) for _ in range(k)])

    def inputs(self) -> dict[str, Any]:
        """What the transformers model takes in place of ``pixel_values``; a new one each time: it is written to."""
        pooled: Any = list(self.pooled)  # annotated as one tensor upstream
        return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=pooled)}}
