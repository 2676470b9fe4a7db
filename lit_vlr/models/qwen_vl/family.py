"""The original Qwen-VL as a model family: for QLoRA, attacks, confidences, and its own three-stage pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig

from lit_vlr.errors import UserError
from lit_vlr.models.hf import ImageFeatures, Towers, TransformersFamily
from lit_vlr.models.hf.towers import Tower
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization
from lit_vlr.models.qwen_vl.processor import VQA_PROMPT, QwenVLProcessor, normalize, squash
from lit_vlr.models.qwen_vl.tokenizer import IMAGE_END, IMAGE_PAD, IMAGE_START, TURN_END, TURN_START


class QwenVL(TransformersFamily):
    """A Qwen-VL or Qwen-VL-Chat checkpoint as it was released.

    Args:
        name_or_path: a folder, or a hub name.
        quantization: how the language model is held; vision tower, adapter and head are never quantised.
        lora: adapters; None adds none. The default is the official recipe's.
        prompt: the text around the question; ``{question}`` and one ``<image>``. Special tokens count in it, so that
            a chat model's is ChatML; see `CHAT_PROMPT`.
        image_size: side that pictures are squashed to; None takes the checkpoint's. Positions are interpolated.
        trained: towers that are trained in full, without adapters, as the original's own stages do.
        gradient_checkpointing: recompute activations in the backward pass.

    Raises:
        UserError: if a local checkpoint is missing or of another architecture, the prompt lacks a field, or towers
            cannot be trained in full.

    Reference:
        Bai et al., Qwen-VL, arXiv 2308.12966, sections 2 and 3.
    """

    title: ClassVar[str] = "Qwen-VL"
    model_types: ClassVar[tuple[str, ...]] = ("qwen",)

    def __init__(
        self,
        name_or_path: str,
        quantization: Quantization = Quantization(),  # noqa: B008 - frozen
        lora: Lora | None = Lora(r=64, alpha=16),  # noqa: B008 - frozen
        prompt: str = VQA_PROMPT,
        image_size: int | None = None,
        trained: tuple[Tower, ...] = (),
        gradient_checkpointing: bool = False,
    ) -> None:
        if trained and lora is not None:
            raise UserError(f"Expected `lora` to be null where `trained` is {trained} but got {lora}; choose one")
        if "language" in trained and quantization.bits != 16:
            raise UserError(f"Expected `bits: 16` to train the language model but got {quantization.bits}")
        self._image_size = image_size
        self.trained = trained
        super().__init__(name_or_path, quantization, lora, prompt, gradient_checkpointing)

    @property
    def towers(self) -> Towers:
        """ViT; adapter, norm and projection behind it; Qwen-7B."""
        return Towers(("model.vision_tower",), ("model.multi_modal_projector",), ("model.language_model",))

    @property
    def language_targets(self) -> str:
        """The official choice: ``c_attn``, ``attn.c_proj``, ``w1`` and ``w2``, but not the MLP's ``c_proj``."""
        return r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj)"

    @property
    def vision_targets(self) -> str:
        """Every linear layer of the blocks, and the patch embedding."""
        return r".*vision_tower\..*?(conv1|in_proj|out_proj|c_fc|c_proj)"

    @property
    def image_size(self) -> int:
        """Side of the canvas."""
        return int(self._image_size or self.config.vision.image_size)

    @cached_property
    def processor(self) -> QwenVLProcessor:
        """Prompts and answers as token ids."""
        return QwenVLProcessor(self.tokenizer, self.image_size, self.config.vision.n_queries)

    @property
    def is_chat(self) -> bool:
        """Whether the prompt is ChatML."""
        return TURN_START in self.prompt

    def load(self, device: torch.device) -> None:
        """As any family; then set what is trained in full, and what ends an answer."""
        if self.model is not None:
            return
        super().load(device)
        for name, parameter in self.base.named_parameters():
            if self.towers.of(name) in self.trained:
                parameter.requires_grad_(True)
        # The released settings draw tokens at random; ours are the caller's to choose.
        ends = [self.tokenizer.eos_token_id, *([self.end_token] if self.is_chat else [])]
        self.base.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=self.tokenizer.pad_token_id)

    @property
    def end_token(self) -> int:
        """What ends a trained answer."""
        return int(self.tokenizer.convert_tokens_to_ids(TURN_END) if self.is_chat else self.tokenizer.eos_token_id)

    def canvas(self, image: Tensor) -> Tensor:
        """A square of `image_size`; the aspect ratio is not kept, as in the original."""
        return squash(image, self.image_size)

    def image_text(self, height: int, width: int) -> str:
        """As many placeholders as there are queries, whatever the picture's size."""
        return IMAGE_START + IMAGE_PAD * self.config.vision.n_queries + IMAGE_END

    def encode(self, prompt: str, image: Tensor) -> list[int]:
        """Token ids of a prompt."""
        return self.processor.encode(prompt)

    def answer_tokens(self, text: str) -> list[int]:
        """The answer, after a space unless it is a turn of a chat, and the end token; boxes in it count as such."""
        return [*self.processor.encode_answer(text if self.is_chat else f" {text}"), self.end_token]

    def encode_images(self, images: Tensor | Sequence[Tensor]) -> ImageFeatures:
        """256 features of each picture."""
        stacked = images if isinstance(images, Tensor) else torch.stack(list(images))
        return ImageFeatures(tuple(self.base.model.get_image_features(normalize(stacked)).pooler_output))

    def save_model(self, folder: str) -> None:
        """Write an original checkpoint folder, which this class loads, and the original code too.

        Raises:
            UserError: for a model with adapters, or in 4 bit.
        """
        if isinstance(self.model, PeftModel):
            raise UserError("Expected a model trained in full but it has adapters; use `save_adapter`")
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.base.save_pretrained(folder)
        self.processor.save_pretrained(folder)
