"""A tiny Qwen-VL in the layout that the original was released in: random weights, a made-up ranks file."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

EXTRA_TOKENS = 205
WORDS = (
    "What is the colour of this picture? Answer: red green blue yes no dog cat wood water swims flies "
    "the thing at the top left of the picture 你好 世界 été naïve straße 12 345 it's they're  \n\n"
)


def made_up_ranks(merges: int = 64) -> dict[bytes, int]:
    """Ranks learnt from a few words by plain BPE: every byte, then the most frequent pairs, and one odd one out."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    words = [[bytes([b]) for b in (" " + word).encode()] for word in WORDS.split()] * 2
    for _ in range(merges):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        (left, right), _count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        ranks[left + right] = len(ranks)
        for word in words:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == (left, right):
                    word[at : at + 2] = [left + right]
                at += 1
    ranks[b" unreachable"] = len(ranks)  # a token that no merges lead to: only a whole word can be it
    return ranks


def write_ranks(path: Path, ranks: dict[bytes, int]) -> None:
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()))


def original_config(vocabulary: int, **changes: Any) -> dict[str, Any]:
    """The released ``config.json``, shrunk; ``vocabulary`` counts the ranks."""
    ids = vocabulary + 3 + EXTRA_TOKENS + 6
    config = {
        "architectures": ["QWenLMHeadModel"],
        "attn_dropout_prob": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_qwen.QWenConfig",
            "AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel",
        },
        "bf16": False,
        "emb_dropout_prob": 0.0,
        "fp16": False,
        "fp32": False,
        "hidden_size": 128,
        "initializer_range": 0.02,
        "intermediate_size": 384,
        "kv_channels": 64,
        "layer_norm_epsilon": 1e-06,
        "max_position_embeddings": 8192,
        "model_type": "qwen",
        "no_bias": True,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "onnx_safe": None,
        "rotary_emb_base": 10000,
        "rotary_pct": 1.0,
        "scale_attn_weights": True,
        "seq_length": 2048,
        "tie_word_embeddings": False,
        "tokenizer_type": "QWenTokenizer",
        "torch_dtype": "float32",
        "transformers_version": "4.31.0",
        "use_cache": True,
        "use_dynamic_ntk": True,
        "use_flash_attn": "auto",
        "use_logn_attn": True,
        "visual": {
            "heads": 2,
            "image_size": 64,
            "image_start_id": ids,
            "layers": 2,
            "mlp_ratio": 2.03,
            "output_dim": 128,
            "patch_size": 2,
            "width": 64,
            "n_queries": 16,
        },
        "vocab_size": -(-(ids + 3) // 64) * 64,
    }
    visual = {**config["visual"], **changes.pop("visual", {})}  # type: ignore[dict-item]
    return {**config, **changes, "visual": visual}


def sine_cosine(width: int, side: int) -> Tensor:
    """Frozen positions, number by number."""
    table = torch.empty(side * side, width)
    for row in range(side):
        for column in range(side):
            for half, place in enumerate((column, row)):
                for i in range(width // 4):
                    angle = place / 10000 ** (i / (width // 4))
                    at = half * width // 2 + i
                    table[row * side + column, at] = math.sin(angle)
                    table[row * side + column, at + width // 4] = math.cos(angle)
    return table


def random_weights(config: dict[str, Any], seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of an original checkpoint, by its name; large enough that each one shows in the logits."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int, std: float = 0.2) -> Tensor:
        return torch.randn(shape, generator=generator) * std

    def norm(name: str, width: int, bias: bool = True) -> dict[str, Tensor]:
        made = {f"{name}.weight": 1 + noise(width)}
        return made | ({f"{name}.bias": noise(width)} if bias else {})

    def linear(name: str, out: int, into: int, bias: bool = True) -> dict[str, Tensor]:
        made = {f"{name}.weight": noise(out, into, std=into**-0.5)}
        return made | ({f"{name}.bias": noise(out)} if bias else {})

    visual, hidden = config["visual"], config["hidden_size"]
    width, out, patch = visual["width"], visual["output_dim"], visual["patch_size"]
    v = "transformer.visual"
    weights = {
        f"{v}.conv1.weight": noise(width, 3, patch, patch),
        f"{v}.positional_embedding": noise(256, width),
        f"{v}.proj": noise(out, out, std=out**-0.5),
        f"{v}.attn_pool.query": noise(visual["n_queries"], out),
        f"{v}.attn_pool.pos_embed": sine_cosine(out, math.isqrt(visual["n_queries"])),
        f"{v}.attn_pool.attn.in_proj_weight": noise(3 * out, out, std=out**-0.5),
        f"{v}.attn_pool.attn.in_proj_bias": noise(3 * out),
        "transformer.wte.weight": noise(config["vocab_size"], hidden, std=1.0),
        "lm_head.weight": noise(config["vocab_size"], hidden, std=hidden**-0.5),
        **norm("transformer.ln_f", hidden, bias=False),
        **norm(f"{v}.ln_pre", width),
        **norm(f"{v}.ln_post", out),
        **norm(f"{v}.attn_pool.ln_q", out),
        **norm(f"{v}.attn_pool.ln_kv", out),
        **linear(f"{v}.attn_pool.kv_proj", out, width, bias=False),
        **linear(f"{v}.attn_pool.attn.out_proj", out, out),
    }
    mlp = int(width * visual["mlp_ratio"])
    for i in range(visual["layers"]):
        block = f"{v}.transformer.resblocks.{i}"
        weights |= norm(f"{block}.ln_1", width) | norm(f"{block}.ln_2", width)
        weights |= linear(f"{block}.attn.in_proj", 3 * width, width) | linear(f"{block}.attn.out_proj", width, width)
        weights |= linear(f"{block}.mlp.c_fc", mlp, width) | linear(f"{block}.mlp.c_proj", width, mlp)
    heads, half = config["kv_channels"] * config["num_attention_heads"], config["intermediate_size"] // 2
    for i in range(config["num_hidden_layers"]):
        layer = f"transformer.h.{i}"
        weights |= norm(f"{layer}.ln_1", hidden, bias=False) | norm(f"{layer}.ln_2", hidden, bias=False)
        weights |= linear(f"{layer}.attn.c_attn", 3 * heads, hidden)
        weights |= linear(f"{layer}.attn.c_proj", hidden, heads, bias=False)
        weights |= linear(f"{layer}.mlp.w1", half, hidden, bias=False)
        weights |= linear(f"{layer}.mlp.w2", half, hidden, bias=False)
        weights |= linear(f"{layer}.mlp.c_proj", hidden, half, bias=False)
    return weights


def write_weights(folder: Path, weights: dict[str, Tensor], layout: str = "safetensors") -> None:
    """One file or two shards, safetensors or pickled, each as transformers 4 wrote them."""
    kind, _, sharded = layout.partition("-")
    name = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}[kind]

    def save(part: dict[str, Tensor], path: Path) -> None:
        if kind == "bin":
            torch.save(part, path)
        else:
            save_file(part, path, metadata={"format": "pt"})

    if not sharded:
        save(weights, folder / name)
        return
    keys, (stem, suffix) = list(weights), name.split(".")
    # Every other key, so that each layer's tensors are spread over both files.
    shards = {f"{stem}-0000{i + 1}-of-00002.{suffix}": keys[i::2] for i in range(2)}
    for file, part in shards.items():
        save({key: weights[key] for key in part}, folder / file)
    total = sum(w.numel() * w.element_size() for w in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": {k: f for f, part in shards.items() for k in part}}
    (folder / f"{name}.index.json").write_text(json.dumps(index))


def make_checkpoint(folder: Path, layout: str = "safetensors", seed: int = 0, **changes: Any) -> dict[str, Tensor]:
    """Write a whole folder; returns its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    ranks = made_up_ranks()
    config = original_config(len(ranks), **changes)
    weights = random_weights(config, seed)
    write_ranks(folder / "qwen.tiktoken", ranks)
    write_weights(folder, weights, layout)
    end = len(ranks)
    generation = {
        "chat_format": "raw",
        "do_sample": True,
        "eos_token_id": end,
        "max_new_tokens": 512,
        "pad_token_id": end,
        "top_k": 0,
        "top_p": 0.3,
        "transformers_version": "4.31.0",
    }
    tokenizer = {
        "auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]},
        "clean_up_tokenization_spaces": True,
        "model_max_length": 8192,
        "padding_side": "right",
        "tokenizer_class": "QWenTokenizer",
    }
    for name, content in (("config", config), ("generation_config", generation), ("tokenizer_config", tokenizer)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
    return weights
