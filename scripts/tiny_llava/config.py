"""The architecture: every projected dimension a multiple of 64, which NF4 blocks on the CPU require."""

from __future__ import annotations

from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

IMAGE_TOKEN = "<image>"
VOCABULARY = 768


def build_config(image_token_id: int, bos: int, eos: int, pad: int) -> LlavaConfig:
    """A LLaVA of 2.2 million parameters: ViT 6 × 128 on 64 patches of 6 × 6 pixels, projector, Llama 4 × 128."""
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=4,
        image_size=48,
        patch_size=6,
        hidden_act="gelu",
        projection_dim=128,
    )
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=64,
        tie_word_embeddings=True,
    )
