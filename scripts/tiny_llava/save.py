"""Writes the model in the layout of a hub checkpoint, weights in float16."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import CLIPImageProcessorPil, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

from scripts.tiny_llava.config import IMAGE_TOKEN

CHAT_TEMPLATE = "{{ bos_token }}<image>\n{{ messages[0]['content'] }}\nAnswer:"


def save(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Save weights, configuration, tokenizer and image processor in the layout that ``from_pretrained`` reads."""
    size = {"height": model.config.vision_config.image_size, "width": model.config.vision_config.image_size}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size=size, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_convert_rgb=True
        ),
        tokenizer=tokenizer,
        patch_size=model.config.vision_config.patch_size,
        vision_feature_select_strategy="default",
        image_token=IMAGE_TOKEN,
        num_additional_image_tokens=1,
    )
    # Rounded once, here: what is shipped is what everybody starts from.
    model.to(torch.float16).save_pretrained(out)
    processor.save_pretrained(out)
