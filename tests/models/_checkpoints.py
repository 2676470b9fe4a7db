"""Tiny random checkpoints in the layout of real ones: weights, tokenizer and image processor in a folder.

Everything is made here; nothing comes from a hub. Widths are multiples of 64, as 4-bit weights on a CPU need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3ImageProcessorPil,
    Gemma3TextConfig,
    GotOcr2ImageProcessorPil,
    Idefics3Config,
    Idefics3ImageProcessorPil,
    InternVLConfig,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextImageProcessorPil,
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessorPil,
    PaliGemmaConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMImageProcessorPil,
)

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}PICTURE{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(*more: str, bos: str | None = "<s>", eos: str = "</s>", chat: str | None = None, **named: str) -> Any:
    """Bytes, and some tokens with a meaning."""
    special = [token for token in dict.fromkeys(["<pad>", bos, eos, *more, *named.values()]) if token]
    vocabulary = {token: i for i, token in enumerate([*special, *BYTES])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(special)
    if bos == "<s>":  # as Llama's tokenizer does
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", special.index("<s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=bos, eos_token=eos, pad_token="<pad>", chat_template=chat, **_extra(named)
    )


def _extra(named: dict[str, str]) -> dict[str, Any]:
    return {"extra_special_tokens": named} if named else {}


def _text(kind: type, tok: Any, **more: Any) -> Any:
    ids = {"bos_token_id": tok.bos_token_id, "eos_token_id": tok.eos_token_id, "pad_token_id": tok.pad_token_id}
    return kind(vocab_size=len(tok), num_key_value_heads=2, **TEXT, **ids, **more)


def llava() -> tuple[Any, Any, Any]:
    tok = tokenizer("<image>")
    vision = CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=64, **VISION)
    image = tok.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=vision, text_config=_text(LlamaConfig, tok), image_token_index=image)
    return config, tok, CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})


GRIDS = [[16, 32], [32, 16], [32, 32], [48, 16], [16, 48]]


def llava_next() -> tuple[Any, Any, Any]:
    tok = tokenizer("<image>")
    vision = CLIPVisionConfig(image_size=16, patch_size=4, projection_dim=64, **VISION)
    image = tok.convert_tokens_to_ids("<image>")
    text = _text(LlamaConfig, tok)
    config = LlavaNextConfig(
        vision_config=vision, text_config=text, image_token_index=image, image_grid_pinpoints=GRIDS
    )
    size = {"height": 16, "width": 16}
    processor = LlavaNextImageProcessorPil(
        size={"shortest_edge": 16},
        crop_size=size,
        image_grid_pinpoints=GRIDS,
        image_mean=[0.4] * 3,
        image_std=[0.3] * 3,
    )
    return config, tok, processor


def llava_onevision() -> tuple[Any, Any, Any]:
    tok = tokenizer("<image>", bos=None, eos="<|im_end|>", image_token="<image>", video_token="<video>")
    vision = SiglipVisionConfig(image_size=16, patch_size=4, vision_use_head=False, **VISION)
    image, video = tok.convert_tokens_to_ids(["<image>", "<video>"])
    grids = [[16 * i, 16 * j] for i in range(1, 5) for j in range(1, 5)]
    config = LlavaOnevisionConfig(
        vision_config=vision,
        text_config=_text(Qwen2Config, tok),
        image_token_index=image,
        video_token_index=video,
        image_grid_pinpoints=grids,
        vision_aspect_ratio="anyres_max_4",
    )
    return config, tok, LlavaOnevisionImageProcessorPil(size={"height": 16, "width": 16}, image_grid_pinpoints=grids)


QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}


def _qwen(kind: type, **vision: Any) -> tuple[Any, Any, Any]:
    chat = CHATML.replace("PICTURE", "".join((QWEN[0], QWEN[2], QWEN[1])))
    tok = tokenizer("<|im_start|>", *QWEN, bos=None, eos="<|im_end|>", chat=chat)
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    text = dict(TEXT, vocab_size=len(tok), num_key_value_heads=2, rope_parameters=ROPE, eos_token_id=tok.eos_token_id)
    if kind is Qwen3VLConfig:
        # Three layers: what is added behind the last one, at the picture's places, no text token would ever see.
        text |= {"num_hidden_layers": 3, "head_dim": 16, "rope_parameters": {**ROPE, "mrope_interleaved": True}}
    config = kind(
        text_config=text,
        vision_config={"depth": 2, "num_heads": 4, "patch_size": 4, **vision},
        **dict(zip(names, tok.convert_tokens_to_ids(list(QWEN)), strict=True)),
    )
    size = {"shortest_edge": 8 * 8, "longest_edge": 48 * 48}
    mean = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3} if kind is Qwen3VLConfig else {}
    return config, tok, Qwen2VLImageProcessorPil(patch_size=4, size=size, **mean)


def qwen2_vl() -> tuple[Any, Any, Any]:
    return _qwen(Qwen2VLConfig, embed_dim=64, hidden_size=64, mlp_ratio=2)


def qwen2_5_vl() -> tuple[Any, Any, Any]:
    own = {"hidden_size": 64, "out_hidden_size": 64, "intermediate_size": 128}
    return _qwen(Qwen2_5_VLConfig, window_size=16, fullatt_block_indexes=[1], **own)


def qwen3_vl() -> tuple[Any, Any, Any]:
    own = {"hidden_size": 64, "out_hidden_size": 64, "intermediate_size": 128}
    return _qwen(Qwen3VLConfig, num_position_embeddings=16, deepstack_visual_indexes=[0, 1], **own)


def _idefics(kind: type, processor: type, bos: str, template: str) -> tuple[Any, Any, Any]:
    places = [f"<row_{r + 1}_col_{c + 1}>" for r in range(4) for c in range(4)]
    fences = ("<image>", "<fake_token_around_image>", "<global-img>")
    tok = tokenizer(*fences, *places, bos=bos, eos="<end_of_utterance>", chat=template)
    vision = {"image_size": 16, "patch_size": 4, **VISION}
    text = _text(LlamaConfig, tok).to_dict()
    image = tok.convert_tokens_to_ids("<image>")
    config = kind(vision_config=vision, text_config=text, image_token_id=image, scale_factor=2)
    return config, tok, processor(size={"longest_edge": 32}, max_image_size={"longest_edge": 16})


IDEFICS = (
    "BEGIN{% for m in messages %}{{ m['role'] | capitalize }}:{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def idefics3() -> tuple[Any, Any, Any]:
    begin = "<|begin_of_text|>"
    return _idefics(Idefics3Config, Idefics3ImageProcessorPil, begin, IDEFICS.replace("BEGIN", begin))


def smolvlm() -> tuple[Any, Any, Any]:
    begin = "<|im_start|>"
    return _idefics(SmolVLMConfig, SmolVLMImageProcessorPil, begin, IDEFICS.replace("BEGIN", begin))


def paligemma() -> tuple[Any, Any, Any]:
    tok = tokenizer(bos="<bos>", eos="<eos>", image_token="<image>")
    vision = SiglipVisionConfig(image_size=16, patch_size=4, projection_dim=64, vision_use_head=False, **VISION)
    text = _text(Gemma2Config, tok, head_dim=16, sliding_window=64, query_pre_attn_scalar=16, num_image_tokens=16)
    config = PaliGemmaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        projection_dim=64,
        hidden_size=64,
    )
    processor = SiglipImageProcessorPil(size={"height": 16, "width": 16})
    processor.image_seq_length = 16
    return config, tok, processor


GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<start_of_image>{% else %}{{ c['text'] | trim }}{% endif %}{% endfor %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def gemma3() -> tuple[Any, Any, Any]:
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tok = tokenizer("<start_of_turn>", "<end_of_turn>", bos="<bos>", eos="<eos>", chat=GEMMA, **named)
    vision = SiglipVisionConfig(image_size=16, patch_size=4, vision_use_head=False, **VISION)
    boi, eoi, image = tok.convert_tokens_to_ids(list(named.values()))
    text = _text(Gemma3TextConfig, tok, head_dim=16, sliding_window=24, query_pre_attn_scalar=16)
    text.layer_types = ["sliding_attention", "full_attention"]
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        boi_token_index=boi,
        eoi_token_index=eoi,
        image_token_index=image,
    )
    return config, tok, Gemma3ImageProcessorPil(size={"height": 16, "width": 16})


def internvl() -> tuple[Any, Any, Any]:
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    named["video_token"] = "<video>"
    chat = CHATML.replace("PICTURE", "<IMG_CONTEXT>\n")
    tok = tokenizer("<|im_start|>", bos=None, eos="<|im_end|>", chat=chat, **named)
    vision = InternVLVisionConfig(image_size=[16, 16], patch_size=[4, 4], layer_scale_init_value=1.0, **VISION)
    image = tok.convert_tokens_to_ids("<IMG_CONTEXT>")
    config = InternVLConfig(
        vision_config=vision.to_dict(), text_config=_text(Qwen2Config, tok).to_dict(), image_token_id=image
    )
    config.image_seq_length = 4
    processor = GotOcr2ImageProcessorPil(
        size={"height": 16, "width": 16},
        max_patches=6,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return config, tok, processor


MAKERS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "Llava": llava,
    "LlavaNext": llava_next,
    "LlavaOnevision": llava_onevision,
    "Qwen2VL": qwen2_vl,
    "Qwen25VL": qwen2_5_vl,
    "Qwen3VL": qwen3_vl,
    "Idefics3": idefics3,
    "SmolVLM": smolvlm,
    "PaliGemma": paligemma,
    "Gemma3": gemma3,
    "InternVL": internvl,
}


def save(name: str, folder: Path) -> Path:
    """Write a checkpoint of a family."""
    config, tok, processor = MAKERS[name]()
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    for parameter in model.parameters():  # as initialised, features are so small that nothing depends on the picture
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    model.generation_config.eos_token_id = tok.eos_token_id
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
