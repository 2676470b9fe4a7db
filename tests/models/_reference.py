"""The families as plain transformers runs them: its processors, its forward pass, one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoTokenizer

PROCESSORS = {
    "Llava": ("LlavaProcessor", "CLIPImageProcessorPil"),
    "LlavaNext": ("LlavaNextProcessor", "LlavaNextImageProcessorPil"),
    "LlavaOnevision": ("LlavaOnevisionProcessor", "LlavaOnevisionImageProcessorPil"),
    "Qwen2VL": ("Qwen2VLProcessor", "Qwen2VLImageProcessorPil"),
    "Qwen25VL": ("Qwen2_5_VLProcessor", "Qwen2VLImageProcessorPil"),
    "Qwen3VL": ("Qwen3VLProcessor", "Qwen2VLImageProcessorPil"),
    "Idefics3": ("Idefics3Processor", "Idefics3ImageProcessorPil"),
    "SmolVLM": ("Idefics3Processor", "SmolVLMImageProcessorPil"),  # its own wants a package that spells numbers
    "PaliGemma": ("PaliGemmaProcessor", "SiglipImageProcessorPil"),
    "Gemma3": ("Gemma3Processor", "Gemma3ImageProcessorPil"),
    "InternVL": ("InternVLProcessor", "GotOcr2ImageProcessorPil"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "Llava": {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
    "LlavaNext": {"patch_size": 4, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
    "LlavaOnevision": {
        "num_image_tokens": 16,
        "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": "anyres_max_4",
    },
    "Idefics3": {"image_seq_len": 4},
    "SmolVLM": {"image_seq_len": 4},
    "Gemma3": {"image_seq_length": 4},
    "InternVL": {"image_seq_length": 4},
}
MARKERS = {
    "Qwen2VL": "<|vision_start|><|image_pad|><|vision_end|>",
    "Qwen25VL": "<|vision_start|><|image_pad|><|vision_end|>",
    "Qwen3VL": "<|vision_start|><|image_pad|><|vision_end|>",
    "Gemma3": "<start_of_image>",
    "InternVL": "<IMG_CONTEXT>",
}


def image_processor(name: str, folder: Path) -> Any:
    return getattr(transformers, PROCESSORS[name][1]).from_pretrained(folder)


def processor(name: str, folder: Path) -> Any:
    """The family's processor; without torchvision several cannot look up their video processor."""
    base = getattr(transformers, PROCESSORS[name][0])
    made: Callable[..., Any] = type(base.__name__, (base,), {"check_argument_for_proper_class": lambda *_: None})
    return made(image_processor(name, folder), AutoTokenizer.from_pretrained(folder), **OPTIONS.get(name, {}))


def inputs(name: str, folder: Path, prompt: str, question: str, picture: np.ndarray) -> dict[str, Tensor]:
    """One row through the processor; ``prompt`` has ``<image>`` for the picture."""
    text = prompt.replace("<image>", MARKERS.get(name, "<image>")).replace("{question}", question)
    if name == "PaliGemma":
        text = text.removesuffix("\n")  # its processor adds it
    # Chat templates begin with the begin token, and transformers then tells the tokenizer to add none.
    add = {} if name in ("Llava", "LlavaNext") else {"add_special_tokens": False}
    return dict(processor(name, folder)(images=[picture], text=[text], return_tensors="pt", **add))


@torch.no_grad()
def answer_logits(model: Any, row: dict[str, Tensor], answer: list[int]) -> Tensor:
    """Logits that predict the answer's tokens, from one plain forward pass of a row without padding."""
    n = len(answer)
    ids = torch.cat([row["input_ids"], torch.tensor([answer])], 1)
    extra = {k: v for k, v in row.items() if k not in ("input_ids", "attention_mask", "labels", "num_patches")}
    for key, value in (("token_type_ids", int("labels" in row)), ("mm_token_type_ids", 0)):
        if key in extra:
            extra[key] = torch.cat([extra[key], torch.full((1, n), value, dtype=extra[key].dtype)], 1)
    logits: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra).logits
    return logits[0, -n - 1 : -1]


def plain_model(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
