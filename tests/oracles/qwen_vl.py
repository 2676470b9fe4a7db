"""Qwen-VL from a checkpoint's tensors, in float64: no module, no transformers, one head and one token at a time.

Written from the description of the model (arXiv 2308.12966 section 2, and the names and shapes of the released
tensors). It shares nothing with the package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
EPS = 1e-6


def layer_norm(x: Tensor, w: Weights, name: str) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (variance + EPS).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def rms_norm(x: Tensor, w: Weights, name: str) -> Tensor:
    return x / ((x**2).mean(-1, keepdim=True) + EPS).sqrt() * w[f"{name}.weight"]


def linear(x: Tensor, w: Weights, name: str) -> Tensor:
    y = torch.einsum("ni,oi->no", x, w[f"{name}.weight"])
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def attend(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    """One head: (N, d), (M, d), (M, d) to (N, d)."""
    scores = torch.einsum("nd,md->nm", query, key) / math.sqrt(query.shape[1])
    if causal:
        for n in range(len(query)):
            scores[n, n + 1 :] = -math.inf
    scores = (scores - scores.amax(1, keepdim=True)).exp()
    return torch.einsum("nm,md->nd", scores / scores.sum(1, keepdim=True), value)


def cubic(x: float) -> float:
    """Keys' kernel with a = -0.75."""
    x, a = abs(x), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resize(grid: Tensor, side: int) -> Tensor:
    """(G·G, D) to (side·side, D), bicubic about pixel centres, edges repeated; four neighbours a direction."""
    have = math.isqrt(len(grid))
    if have == side:
        return grid
    mixing = torch.zeros(side, have, dtype=grid.dtype)
    for i in range(side):
        centre = (i + 0.5) * have / side - 0.5
        for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
            mixing[i, min(max(j, 0), have - 1)] += cubic(centre - j)
    square = grid.view(have, have, -1)
    return torch.einsum("ri,cj,ijd->rcd", mixing, mixing, square).flatten(0, 1)


def picture_features(w: Weights, config: Mapping[str, Any], pixels: Tensor) -> Tensor:
    """A normalised picture (3, S, S) to (queries, D)."""
    visual, v = config["visual"], "transformer.visual"
    patch, heads = visual["patch_size"], visual["heads"]
    side = pixels.shape[1] // patch
    rows = []
    for r in range(side):
        for c in range(side):
            square = pixels[:, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch]
            rows.append(torch.einsum("cij,ocij->o", square, w[f"{v}.conv1.weight"]))
    x = layer_norm(torch.stack(rows) + resize(w[f"{v}.positional_embedding"], side), w, f"{v}.ln_pre")
    d = visual["width"] // heads
    for i in range(visual["layers"]):
        block = f"{v}.transformer.resblocks.{i}"
        fused = linear(layer_norm(x, w, f"{block}.ln_1"), w, f"{block}.attn.in_proj")
        mixed = []
        for h in range(heads):  # the outputs are q of head 0, k of head 0, v of head 0, q of head 1, ...
            start = 3 * d * h
            q, k, val = (fused[:, start + j * d : start + (j + 1) * d] for j in range(3))
            mixed.append(attend(q, k, val))
        x = x + linear(torch.cat(mixed, 1), w, f"{block}.attn.out_proj")
        hidden = linear(layer_norm(x, w, f"{block}.ln_2"), w, f"{block}.mlp.c_fc")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + linear(hidden, w, f"{block}.mlp.c_proj")

    pool, width = f"{v}.attn_pool", visual["output_dim"]
    positions = w[f"{pool}.pos_embed"]
    values = layer_norm(linear(x, w, f"{pool}.kv_proj"), w, f"{pool}.ln_kv")
    keys = values + resize(positions, side)
    queries = layer_norm(w[f"{pool}.query"], w, f"{pool}.ln_q") + positions
    weight, bias = w[f"{pool}.attn.in_proj_weight"], w[f"{pool}.attn.in_proj_bias"]
    q, k, val = (
        torch.einsum("ni,oi->no", given, weight[j * width : (j + 1) * width]) + bias[j * width : (j + 1) * width]
        for j, given in enumerate((queries, keys, values))
    )
    mixed = [attend(q[:, s : s + 128], k[:, s : s + 128], val[:, s : s + 128]) for s in range(0, width, 128)]
    pooled = linear(torch.cat(mixed, 1), w, f"{pool}.attn.out_proj")
    return torch.einsum("ni,io->no", layer_norm(pooled, w, f"{v}.ln_post"), w[f"{v}.proj"])


def rotate(x: Tensor, base: float) -> Tensor:
    """Half-split rotary positions of one head, (T, d), place by place."""
    d = x.shape[1]
    y = x.clone()
    for t in range(len(x)):
        for i in range(d // 2):
            angle = t / base ** (2 * i / d)
            a, b = x[t, i], x[t, i + d // 2]
            y[t, i] = a * math.cos(angle) - b * math.sin(angle)
            y[t, i + d // 2] = b * math.cos(angle) + a * math.sin(angle)
    return y


def rotary_base(config: Mapping[str, Any], prompt: int, training: bool) -> float:
    """Grown for prompts beyond the training length."""
    base = config["rotary_emb_base"]
    if training or not config["use_dynamic_ntk"] or prompt <= config["seq_length"]:
        return base
    alpha = 2 ** math.ceil(math.log2(prompt / config["seq_length"]) + 1) - 1
    d = config["kv_channels"]
    return base * alpha ** (d / (d - 2))


def logits(
    weights: Weights,
    config: Mapping[str, Any],
    tokens: Sequence[int],
    pictures: Sequence[Tensor] = (),
    prompt: int | None = None,
    training: bool = False,
) -> Tensor:
    """Logits of one unpadded row, (T, V), float64.

    ``prompt`` is how many of the tokens were the prompt; those behind it were generated, with the prompt's base.
    """
    w = {name: tensor.double() for name, tensor in weights.items()}
    x = torch.stack([w["transformer.wte.weight"][token] for token in tokens])
    start = config["visual"]["image_start_id"]
    places = [i for i, token in enumerate(tokens) if token == start]
    for place, picture in zip(places, pictures, strict=True):
        end = list(tokens).index(start + 1, place)
        x[place + 1 : end] = picture_features(w, config, picture.double())
    d, heads = config["kv_channels"], config["num_attention_heads"]
    size = d * heads
    base = rotary_base(config, len(tokens) if prompt is None else prompt, training)
    for i in range(config["num_hidden_layers"]):
        layer = f"transformer.h.{i}"
        fused = linear(rms_norm(x, w, f"{layer}.ln_1"), w, f"{layer}.attn.c_attn")
        mixed = []
        for h in range(heads):
            q, k, v = (fused[:, j * size + h * d : j * size + (h + 1) * d] for j in range(3))
            q, k = rotate(q, base), rotate(k, base)
            if config["use_logn_attn"] and not training:
                for t in range(len(tokens)):
                    if t + 1 > config["seq_length"]:
                        q[t] = q[t] * math.log(t + 1, config["seq_length"])
            mixed.append(attend(q, k, v, causal=True))
        x = x + linear(torch.cat(mixed, 1), w, f"{layer}.attn.c_proj")
        hidden = rms_norm(x, w, f"{layer}.ln_2")
        up, gate = linear(hidden, w, f"{layer}.mlp.w1"), linear(hidden, w, f"{layer}.mlp.w2")
        x = x + linear(up * gate / (1 + (-gate).exp()), w, f"{layer}.mlp.c_proj")
    return linear(rms_norm(x, w, "transformer.ln_f"), w, "lm_head")
