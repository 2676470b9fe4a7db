"""The vision tower: a ViT without class token, pre-norm, with fused and per-head interleaved attention weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from lit_vlr.models.qwen_vl.configuration import Visual
from lit_vlr.models.qwen_vl.positions import resize_positions

NORM_EPS = 1e-6
TRAINED_SIDE = 16
"""Patches a side that the stored positions are for: the tower was pre-trained on 224 pixels."""


class VisionTower(nn.Module):
    """Patches of a square picture to (B, patches, width); module names are the released checkpoint's.

    Args:
        visual: sizes.
    """

    def __init__(self, visual: Visual) -> None:
        super().__init__()
        self.patch_size = visual.patch_size
        self.conv1 = nn.Conv2d(3, visual.width, visual.patch_size, stride=visual.patch_size, bias=False)
        self.positional_embedding = nn.Parameter(torch.empty(TRAINED_SIDE**2, visual.width))
        self.ln_pre = nn.LayerNorm(visual.width, eps=NORM_EPS)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(Block(visual) for _ in range(visual.layers))})

    @property
    def dtype(self) -> torch.dtype:
        """What pixels are cast to."""
        return self.conv1.weight.dtype

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Normalised pixels (B, 3, S, S) to features (B, (S / patch)², width).

        Raises:
            ValueError: unless the pictures are squares of whole patches.
        """
        height, width = pixel_values.shape[-2:]
        if height != width or height % self.patch_size:
            raise ValueError(
                f"Expected square pictures of whole {self.patch_size}-pixel patches but got {height} × {width}; "
                "resize them to the model's square"
            )
        patches = self.conv1(pixel_values.to(self.dtype)).flatten(2).transpose(1, 2)
        hidden = self.ln_pre(patches + resize_positions(self.positional_embedding, patches.shape[1]))
        for block in self.transformer["resblocks"]:  # type: ignore[attr-defined]  # a ModuleList, for mypy a Module
            hidden = block(hidden)
        return hidden


class Block(GradientCheckpointingLayer):
    """Attention and MLP, each behind a norm and beside a shortcut."""

    def __init__(self, visual: Visual) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(visual.width, eps=NORM_EPS)
        self.ln_2 = nn.LayerNorm(visual.width, eps=NORM_EPS)
        self.attn = Attention(visual.width, visual.heads)
        self.mlp = MLP(visual.width, int(visual.width * visual.mlp_ratio))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, N, width) to the same shape."""
        hidden = hidden + self.attn(self.ln_1(hidden))
        return hidden + self.mlp(self.ln_2(hidden))


class Attention(nn.Module):
    """Self-attention among all patches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, N, width) to the same shape."""
        # The rows of `in_proj` are q, k, v of the first head, then q, k, v of the second: chunk within each head.
        fused = self.in_proj(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        query, key, value = fused.chunk(3, -1)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two layers with an exact GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, N, width) to the same shape."""
        return self.c_proj(F.gelu(self.c_fc(hidden)))
