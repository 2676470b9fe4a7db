"""Log-probabilities of several answers to one prompt, from one pass with the prompt and the picture once a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.models.tokens import PackedAnswers


def attention_mask(allowed: Tensor, language: Any, name: str) -> Tensor:  # noqa: ANN401
    """A mask (B, L, L) as a language model's attention takes it.

    Args:
        allowed: True where a token (second) may be attended to by another (first).
        language: the language model.
        name: the checkpoint's, for errors.

    Raises:
        UserError: if the attention takes no such masks.
    """
    match language.config._attn_implementation:
        case "sdpa":
            return allowed[:, None]
        case "eager":
            dtype = language.get_input_embeddings().weight.dtype
            return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
        case other:
            raise UserError(
                f"Expected attention `sdpa` or `eager`, which take any mask, but {name} has {other!r}; load it with "
                "one of these"
            )


def sum_by_answer(log_probs: Tensor, packed: PackedAnswers, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
    """Sum the log-probabilities of each answer's tokens, (N,) to (B, K); -inf where a row has fewer than K answers."""
    rows, k = len(answers), max(map(len, answers))
    sums = log_probs.new_zeros(rows * k).index_add(0, packed.rows * k + packed.answers, log_probs)
    counts = torch.tensor([len(choices) for choices in answers], device=sums.device)
    missing = torch.arange(k, device=sums.device) >= counts[:, None]
    return sums.view(rows, k).masked_fill(missing, float("-inf"))
