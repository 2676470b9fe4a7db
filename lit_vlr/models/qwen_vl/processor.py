"""Prompts and pictures as the model takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError
from lit_vlr.models.base import IMAGE
from lit_vlr.models.pixels import resize
from lit_vlr.models.qwen_vl.configuration import QwenVLConfig
from lit_vlr.models.qwen_vl.tokenizer import (
    IMAGE_END,
    IMAGE_PAD,
    IMAGE_START,
    SPECIAL_TOKENS,
    TURN_END,
    TURN_START,
    QWenTokenizer,
)

VQA_PROMPT = IMAGE + "{question} Answer:"
"""The base model's prompt in its evaluation of visual question answering."""

CHAT_PROMPT = (
    f"{TURN_START}system\nYou are a helpful assistant.{TURN_END}\n"
    f"{TURN_START}user\nPicture 1: {IMAGE}\n{{question}}{TURN_END}\n{TURN_START}assistant\n"
)
"""The chat model's: ChatML with one picture."""

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
Picture = Image.Image | np.ndarray | Tensor | Path
_SPECIAL = re.compile("(" + "|".join(map(re.escape, (IMAGE, *SPECIAL_TOKENS))) + ")")


def normalize(images: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] as the vision tower takes them; differentiable."""
    mean, std = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


class QwenVLProcessor:
    """Makes what the model takes of pictures and templates.

    A template is written by the developer and may hold special tokens and ``<image>``, which stands for
    ``<img>``, 256 × ``<imgpad>``, ``</img>``. What users write goes into its fields, and is text whatever it holds:
    ``<img>`` in a question is five characters.

    Args:
        tokenizer: the tokenizer.
        image_size: side that pictures are squashed to.
        queries: image tokens a picture takes.

    Example::

        inputs = processor(picture, VQA_PROMPT, questions=["What is it?"])
        processor.batch_decode(model.generate(**inputs, max_new_tokens=10))
    """

    def __init__(self, tokenizer: QWenTokenizer, image_size: int = 448, queries: int = 256) -> None:
        self.tokenizer = tokenizer
        self.image_size = image_size
        self.queries = queries

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str], **kwargs: Any) -> QwenVLProcessor:  # noqa: ANN401
        """From an original checkpoint folder: ``config.json`` and ``qwen.tiktoken``.

        Raises:
            CheckpointError: if the ranks cannot be read.
            UserError: if the configuration is not Qwen-VL's.
        """
        known = {k: v for k, v in kwargs.items() if k in ("cache_dir", "revision", "token", "local_files_only")}
        vision = QwenVLConfig.from_pretrained(folder, **known).vision_config
        return cls(QWenTokenizer.from_pretrained(folder, **known), vision.image_size, vision.n_queries)

    def save_pretrained(self, folder: str | PathLike[str], **_: Any) -> None:  # noqa: ANN401
        """Write the tokenizer's files; the size of pictures is in the model's configuration."""
        self.tokenizer.save_pretrained(folder)

    def encode(self, template: str, **fields: str) -> list[int]:
        """Token ids of a template; ``{name}`` becomes the text of the field of that name.

        Raises:
            UserError: if the template has no such field.
        """
        lacking = [name for name in fields if f"{{{name}}}" not in template]
        if lacking:
            raise UserError(f"Expected {{{lacking[0]}}} in the prompt but got {template!r}; write where it goes")
        ids: list[int] = []
        for part in _SPECIAL.split(template):
            if part == IMAGE:
                ids += self.image_ids
            elif part in SPECIAL_TOKENS:
                ids.append(self._id(part))
            elif part:  # fields are filled in after the special tokens were found, so that they can add none
                text = re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), part)
                ids += self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    @property
    def image_ids(self) -> list[int]:
        """What a picture is in a prompt."""
        return [self._id(IMAGE_START), *[self._id(IMAGE_PAD)] * self.queries, self._id(IMAGE_END)]

    def _id(self, token: str) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(token))  # type: ignore[arg-type]  # one token, one id

    def pixels(self, image: Picture) -> Tensor:
        """A picture as (3, side, side) in [0, 1].

        Raises:
            ImageError: for arrays that are not (H, W, 3) of uint8, and unreadable files.
        """
        if isinstance(image, Image.Image):
            image = np.array(image.convert("RGB"))
        return resize(image if isinstance(image, Tensor) else load_image(image), self.image_size, self.image_size)

    def __call__(
        self,
        images: Picture | Sequence[Picture] | None = None,
        text: str | Sequence[str] = VQA_PROMPT,
        questions: Sequence[str] | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """What ``generate`` takes: left-padded ``input_ids`` and ``attention_mask``, and ``pixel_values``.

        Args:
            images: the pictures of all rows, in reading order.
            text: one template for all rows, or one a row.
            questions: the text of each row's ``{question}``.
            return_tensors: only ``pt``.

        Raises:
            UserError: if there are not as many pictures as ``<image>``, or of templates as questions.
        """
        if return_tensors != "pt":
            raise UserError(f"Expected `return_tensors` to be 'pt' but got {return_tensors!r}; convert the tensors")
        single = images is not None and not isinstance(images, (list, tuple))
        pictures: list[Any] = [images] if single else list(images or [])  # type: ignore[arg-type]
        rows = len(questions) if questions is not None else 1
        templates = [text] * rows if isinstance(text, str) else list(text)
        if questions is not None and len(questions) != len(templates):
            raise UserError(f"Expected a question a template but got {len(questions)} and {len(templates)}")
        wanted = sum(template.count(IMAGE) for template in templates)
        if wanted != len(pictures):
            raise UserError(f"Expected a picture for each {IMAGE} but got {len(pictures)} for {wanted}")
        fields = [{}] * len(templates) if questions is None else [{"question": q} for q in questions]
        ids = [self.encode(template, **field) for template, field in zip(templates, fields, strict=True)]
        padded = self.tokenizer.pad({"input_ids": ids}, padding=True, padding_side="left", return_tensors="pt")
        values = {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"]}
        if pictures:
            values["pixel_values"] = normalize(torch.stack([self.pixels(picture) for picture in pictures]))
        return BatchFeature(values)

    def batch_decode(self, rows: Tensor | Sequence[Sequence[int]], skip_special_tokens: bool = True) -> list[str]:
        """Texts of generated tokens; boxes stay in them, see `lit_vlr.models.qwen_vl.grounding.parse_grounding`."""
        return [str(self.tokenizer.decode(list(row), skip_special_tokens=skip_special_tokens)) for row in rows]
