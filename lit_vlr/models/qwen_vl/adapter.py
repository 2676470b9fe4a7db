"""The position-aware adapter: any number of patches becomes 256 vectors of the language model's width."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lit_vlr.models.qwen_vl.configuration import Visual
from lit_vlr.models.qwen_vl.positions import resize_positions, sine_cosine_positions
from lit_vlr.models.qwen_vl.vision import NORM_EPS


class AttentionPool(nn.Module):
    r"""One cross-attention from learnt queries to the patches.

    .. math:: Q = \text{LN}(q) + p, \quad K = \text{LN}(W x) + p', \quad V = \text{LN}(W x)

    with :math:`p` the frozen positions of the queries' grid and :math:`p'` the same resized to that of the patches.
    Values carry no position.

    Reference:
        Bai et al., Qwen-VL, arXiv 2308.12966, section 2.1.
    """

    def __init__(self, visual: Visual) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(visual.n_queries, visual.output_dim))
        # A buffer: it is in the checkpoint but never trains, also where peft trains the rest of the projector.
        positions = sine_cosine_positions(visual.output_dim, math.isqrt(visual.n_queries))
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", positions)
        self.kv_proj = nn.Linear(visual.width, visual.output_dim, bias=False)
        self.attn = nn.MultiheadAttention(visual.output_dim, visual.adapter_heads, batch_first=True)
        self.ln_q = nn.LayerNorm(visual.output_dim, eps=NORM_EPS)
        self.ln_kv = nn.LayerNorm(visual.output_dim, eps=NORM_EPS)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, N, width) to (B, queries, output_dim)."""
        values = self.ln_kv(self.kv_proj(patches))
        keys = values + resize_positions(self.pos_embed, values.shape[1])
        queries = (self.ln_q(self.query) + self.pos_embed).expand(len(values), -1, -1)
        pooled: Tensor = self.attn(queries, keys, values, need_weights=False)[0]
        return pooled


class Projector(nn.Module):
    """Everything between vision tower and language model: adapter, norm, square projection."""

    def __init__(self, visual: Visual) -> None:
        super().__init__()
        self.attn_pool = AttentionPool(visual)
        self.ln_post = nn.LayerNorm(visual.output_dim, eps=NORM_EPS)
        self.proj = nn.Parameter(torch.empty(visual.output_dim, visual.output_dim))

    def forward(self, patches: Tensor) -> Tensor:
        """(B, N, width) to (B, queries, output_dim)."""
        projected: Tensor = self.ln_post(self.attn_pool(patches)) @ self.proj
        return projected
