"""The original Qwen-VL as a model family: for QLoRA, attacks, confidences, and its own three-stage pipeline."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from lit_vlr.errors import UserError
from lit_vlr.models.hf.square import SquareFamily
from lit_vlr.models.hf.towers import Tower
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization
from lit_vlr.models.qwen_vl.processor import VQA_PROMPT
from lit_vlr.models.qwen_vl.tokenizer import (
    GROUNDING_TOKENS,
    IMAGE_END,
    IMAGE_PAD,
    IMAGE_START,
    TURN_END,
    TURN_START,
)


class QwenVL(SquareFamily):
    """A Qwen-VL or Qwen-VL-Chat checkpoint as it was released.

    A picture is squashed into a square; positions are interpolated to its size. The chat model takes a ``prompt`` in
    ChatML (`lit_vlr.models.qwen_vl.CHAT_PROMPT`), and answers then end with ``<|im_end|>``.

    Args:
        name_or_path: a folder, or a hub name.
        quantization: how the language model is held; vision tower, adapter and head are never quantised.
        lora: adapters; None adds none. The default is the official recipe's.
        trained: towers that are trained in full, without adapters, as in the original's own stages.
        **layout: see `lit_vlr.models.hf.settings.Settings`.

    Raises:
        UserError: if a local checkpoint is missing or of another architecture, the prompt lacks a field, or towers
            cannot be trained in full.

    Reference:
        Bai et al., Qwen-VL, arXiv 2308.12966, sections 2 and 3.
    """

    title = "Qwen-VL"
    model_types = ("qwen",)
    plain_prompt = VQA_PROMPT
    begins = False
    answer_specials = GROUNDING_TOKENS
    # The official choice: c_attn (here three layers), attn.c_proj, w1 and w2, but not the MLP's c_proj.
    language_targets = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj)"
    vision_targets = r".*vision_tower\.(conv1|.*\.(in_proj|out_proj|c_fc|c_proj))"

    def __init__(
        self,
        name_or_path: str,
        quantization: Quantization = Quantization(),  # noqa: B008 - frozen
        lora: Lora | None = Lora(r=64, alpha=16),  # noqa: B008 - frozen
        trained: tuple[Tower, ...] = (),
        **layout: Any,  # noqa: ANN401
    ) -> None:
        if trained and lora is not None:
            raise UserError(f"Expected `lora` to be null where `trained` is {trained} but got {lora}; choose one")
        if "language" in trained and quantization.bits != 16:
            raise UserError(f"Expected `bits: 16` to train the language model but got {quantization.bits}")
        self.trained = trained
        super().__init__(name_or_path, quantization, lora, **layout)

    def check_config(self, config: Any) -> None:  # noqa: ANN401
        """Nothing more: `QwenVLConfig` refuses what is none."""

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """The given settings: the released folder has no image processor."""
        return dict(self.processor)

    @cached_property
    def end(self) -> int:
        """What ends an answer: a turn of ChatML, or the text."""
        token = TURN_END if TURN_START in self.prompt else self.tokenizer.eos_token
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def image_text(self, height: int, width: int) -> str:
        """As many placeholders as there are queries, whatever the picture's size."""
        return IMAGE_START + IMAGE_PAD * self.config.vision_config.n_queries + IMAGE_END

    def load(self, device: torch.device) -> None:
        """As any family; then what is trained in full may change."""
        super().load(device)
        for name, parameter in self.base.named_parameters():
            if self.towers.of(name) in self.trained:
                parameter.requires_grad_(True)

    def save_model(self, folder: str) -> None:
        """Write an original checkpoint folder: what this class loads, and the original code too.

        Raises:
            UserError: for a model with adapters, or in 4 bit.
        """
        if isinstance(self.model, PeftModel):
            raise UserError("Expected a model trained in full but it has adapters; use `save_adapter`")
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.base.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
