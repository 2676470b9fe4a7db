"""Padding of prompts and answers: to the right for training, to the left for generation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def encode_rows(prompts: Sequence[list[int]], answers: Sequence[list[int]], pad: int) -> dict[str, Tensor]:
    """The token tensors of a `Batch`.

    Args:
        prompts: token ids of each prompt.
        answers: token ids of each answer, end token included.
        pad: id to pad with; it is masked, so any will do.

    Returns:
        ``input_ids``, ``attention_mask``, ``labels`` (B, T) and ``prompt_ids``, ``prompt_mask`` (B, T').

    >>> rows = encode_rows([[1, 2], [1, 2, 3]], [[9], [8]], pad=0)
    >>> rows["labels"].tolist(), rows["prompt_ids"].tolist()
    ([[-100, -100, 9, -100], [-100, -100, -100, 8]], [[0, 1, 2], [1, 2, 3]])
    """
    full = [p + a for p, a in zip(prompts, answers, strict=True)]
    length, prompt_length = max(map(len, full)), max(map(len, prompts))
    right = [length - len(row) for row in full]
    left = [prompt_length - len(p) for p in prompts]
    return {
        "input_ids": torch.tensor([row + [pad] * n for row, n in zip(full, right, strict=True)]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * n for row, n in zip(full, right, strict=True)]),
        "labels": torch.tensor(
            [[-100] * len(p) + a + [-100] * n for p, a, n in zip(prompts, answers, right, strict=True)]
        ),
        "prompt_ids": torch.tensor([[pad] * n + p for p, n in zip(prompts, left, strict=True)]),
        "prompt_mask": torch.tensor([[0] * n + [1] * len(p) for p, n in zip(prompts, left, strict=True)]),
    }
