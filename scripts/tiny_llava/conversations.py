"""Token rows of conversations: several questions share a picture, and every answer is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from scripts.tiny_llava.config import IMAGE_TOKEN
from scripts.tiny_llava.corpus import Turn

N_IMAGE_TOKENS = 64


def encode(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], prefix: str) -> tuple[list[int], list[int]]:
    """Ids and labels (-100 outside the answers) of one conversation.

    Args:
        tokenizer: the tokenizer.
        turns: question and answer, in order.
        prefix: what comes first: the image placeholders, or a description in words, or nothing.
    """
    ids, labels = [tokenizer.bos_token_id], [-100]
    for i, (question, answer) in enumerate(turns):
        prompt = tokenizer.encode((prefix if i == 0 else "") + f"\n{question}\nAnswer:", add_special_tokens=False)
        said = [*tokenizer.encode(f" {answer}", add_special_tokens=False), tokenizer.eos_token_id]
        ids += prompt + said
        labels += [-100] * len(prompt) + said
    return ids, labels


def collate(rows: Sequence[tuple[list[int], list[int]]], pad: int) -> dict[str, Tensor]:
    """Right-pad rows to a batch."""
    length = max(len(ids) for ids, _ in rows)
    return {
        "input_ids": torch.tensor([ids + [pad] * (length - len(ids)) for ids, _ in rows]),
        "labels": torch.tensor([labels + [-100] * (length - len(labels)) for _, labels in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in rows]),
    }


IMAGE_PREFIX = IMAGE_TOKEN * N_IMAGE_TOKENS
