"""Tokens a picture takes with the published sizes, as the comments in configs/model say; without weights."""

from __future__ import annotations

from types import SimpleNamespace as Named
from typing import Any

import pytest

import lit_vlr.models

ANYRES = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
MANY = [[384 * i, 384 * j] for i in range(1, 7) for j in range(1, 7)]
QWEN_SIZE = {"size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}}

CASES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[int, int], int]] = [
    ("Llava", {"vision": {"image_size": 336, "patch_size": 14}}, {}, (336, 336), 24 * 24),
    # (48 rows of 48 and a newline each) and the whole
    ("LlavaNext", {"vision": {"image_size": 336, "patch_size": 14}, "grids": ANYRES}, {}, (672, 672), 48 * 49 + 576),
    # 480 x 640 fits 672 x 672 as 504 x 672; 6 of 48 rows above and below are padding
    ("LlavaNext", {"vision": {"image_size": 336, "patch_size": 14}, "grids": ANYRES}, {}, (480, 640), 36 * 49 + 576),
    ("LlavaOnevision", {"vision": {"image_size": 384, "patch_size": 14}, "grids": MANY}, {}, (768, 768), 54 * 55 + 729),
    ("LlavaOnevision", {"vision": {"image_size": 384, "patch_size": 14}, "grids": MANY}, {}, (384, 384), 27 * 28 + 729),
    ("Qwen2VL", {"vision": {"patch_size": 14, "spatial_merge_size": 2}}, QWEN_SIZE, (448, 448), 256),
    ("Qwen25VL", {"vision": {"patch_size": 14, "spatial_merge_size": 2}}, QWEN_SIZE, (480, 640), 17 * 23),
    ("Qwen3VL", {"vision": {"patch_size": 16, "spatial_merge_size": 2}}, QWEN_SIZE, (448, 448), 196),
    (
        "Idefics3",
        {"vision": {"image_size": 364, "patch_size": 14}, "scale": 2},
        {"size": {"longest_edge": 728}, "max_image_size": {"longest_edge": 364}},
        (728, 728),
        5 * 169,
    ),
    (
        "SmolVLM",
        {"vision": {"image_size": 384, "patch_size": 14}, "scale": 3},
        {"size": {"longest_edge": 768}, "max_image_size": {"longest_edge": 384}},
        (768, 768),
        5 * 81,
    ),
    ("PaliGemma", {"vision": {"image_size": 448, "patch_size": 14}}, {}, (448, 448), 1024),
    ("Gemma3", {"vision": {"image_size": 896, "patch_size": 14}}, {}, (896, 896), 256),
    ("InternVL", {"vision": {"image_size": (448, 448), "patch_size": (14, 14)}}, {"max_patches": 4}, (896, 896), 1280),
]


@pytest.mark.parametrize(("name", "config", "processor", "size", "tokens"), CASES)
def test_placeholders(
    name: str, config: dict[str, Any], processor: dict[str, Any], size: tuple[int, int], tokens: int
) -> None:
    family = getattr(lit_vlr.models, name)("some-one/some-model")
    family.config = Named(
        vision_config=Named(model_type="siglip" if name == "LlavaOnevision" else "clip", **config["vision"]),
        image_grid_pinpoints=config.get("grids"),
        scale_factor=config.get("scale"),
        vision_aspect_ratio="anyres_max_9",
        vision_feature_select_strategy="full" if name == "LlavaOnevision" else "default",
        downsample_ratio=0.5,
        mm_tokens_per_image=256,
        image_token_id=0,
        **dict.fromkeys(("vision_start_token_id", "vision_end_token_id", "boi_token_index", "eoi_token_index"), 1),
    )
    family.tokenizer = Named(
        bos_token="b", convert_ids_to_tokens=lambda ids: "☐" if isinstance(ids, int) else ["."] * len(ids)
    )
    family.preprocessing = processor
    assert family.canvas_size(*size) == size or name == "Qwen25VL"
    assert family.image_text(*size).count("☐") == tokens


def test_a_tower_without_a_class_token_has_one_feature_less() -> None:
    family = lit_vlr.models.Llava("some-one/some-model")

    def tokens(tower: str, strategy: str) -> int:
        vision = Named(image_size=336, patch_size=14, model_type=tower)
        family.config = Named(vision_config=vision, vision_feature_select_strategy=strategy)
        return family.image_tokens

    assert [tokens("clip_vision_model", s) for s in ("default", "full")] == [576, 577]
    assert [tokens("siglip_vision_model", s) for s in ("default", "full")] == [575, 576]
