"""Random checkpoints in the real layout, of the sizes that `benchmarks.memory` measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    Qwen2VLConfig,
    Qwen2VLImageProcessorPil,
)

from tests.models._checkpoints import QWEN, tokenizer

SHAPES: dict[str, dict[str, Any]] = {
    "LLaVA, 135M": {
        "family": "Llava",
        "vision": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4},
        "image": {"image_size": 112, "patch_size": 14},
        "text": {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8},
        "vocabulary": 100_000,
    },
    "Qwen2-VL, 187M": {
        "family": "Qwen2VL",
        "vision": {"embed_dim": 256, "depth": 6, "num_heads": 4, "mlp_ratio": 4, "patch_size": 14},
        "text": {
            "hidden_size": 512,
            "intermediate_size": 1536,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
        },
        "sections": [8, 12, 12],
        "vocabulary": 151_936,
    },
    # Sizes of the published configurations.
    "LLaVA-1.5-7B": {
        "family": "Llava",
        "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
        "image": {"image_size": 336, "patch_size": 14},
        "text": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
        "vocabulary": 32_064,
    },
    "Qwen2-VL-7B": {
        "family": "Qwen2VL",
        "vision": {"embed_dim": 1280, "depth": 32, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14},
        "text": {
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
        },
        "sections": [16, 24, 24],
        "vocabulary": 152_064,
    },
}
ON_CPU = ("LLaVA, 135M", "Qwen2-VL, 187M")
ON_GPU = ("LLaVA-1.5-7B", "Qwen2-VL-7B")


def save_random(shape: dict[str, Any], folder: Path, device: torch.device) -> Path:
    """Write a checkpoint in bfloat16: weights, tokenizer, image processor."""
    config, tok, processor = parts_of(shape)
    torch.manual_seed(0)
    with device:
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def parts_of(shape: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Configuration, tokenizer, image processor."""
    return _llava(shape) if shape["family"] == "Llava" else _qwen(shape)


def _llava(shape: dict[str, Any]) -> tuple[Any, Any, Any]:
    tok = tokenizer("<image>")
    vision = CLIPVisionConfig(**shape["vision"], **shape["image"], projection_dim=768)
    text = LlamaConfig(**shape["text"], vocab_size=shape["vocabulary"], pad_token_id=tok.pad_token_id)
    image = tok.convert_tokens_to_ids("<image>")
    side = shape["image"]["image_size"]
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return LlavaConfig(vision_config=vision, text_config=text, image_token_index=image), tok, processor


def _qwen(shape: dict[str, Any]) -> tuple[Any, Any, Any]:
    tok = tokenizer("<|im_start|>", *QWEN, bos=None, eos="<|im_end|>")
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": shape["sections"]}
    config = Qwen2VLConfig(
        text_config={**shape["text"], "vocab_size": shape["vocabulary"], "rope_parameters": rope},
        vision_config={**shape["vision"], "hidden_size": shape["text"]["hidden_size"]},
        **dict(zip(names, tok.convert_tokens_to_ids(list(QWEN)), strict=True)),
    )
    patch = shape["vision"]["patch_size"]
    size = {"shortest_edge": 4 * patch * patch, "longest_edge": 1280 * 4 * patch * patch}
    return config, tok, Qwen2VLImageProcessorPil(patch_size=patch, size=size)
