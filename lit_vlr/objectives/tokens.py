"""Losses token by token, brought to one number a sample, and the position where the answer begins."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lit_vlr.types import VLMOutput


class FirstTokens(NamedTuple):
    """Where each answer begins, which in short answers decides between them.

    Attributes:
        places: indices into the N answer tokens, (B,).
        logits: what is said there, float32, (B, V).
        labels: the token to be said, (B,).
    """

    places: Tensor
    logits: Tensor
    labels: Tensor


def first_tokens(output: VLMOutput, n: int) -> FirstTokens:
    """The first answer token of each of n samples; every sample has at least its end token."""
    places = torch.searchsorted(output.answer_rows, torch.arange(n, device=output.answer_rows.device))
    return FirstTokens(places, output.answer_logits[places].float(), output.answer_labels[places])


def token_cross_entropy(output: VLMOutput, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of each answer token, (N,), float32."""
    logits = output.answer_logits.float()
    return F.cross_entropy(logits, output.answer_labels, reduction="none", label_smoothing=label_smoothing)


def mean_by_sample(values: Tensor, output: VLMOutput, n: int) -> Tensor:
    """Mean over the answer tokens of each of ``n`` samples, (N,) to (n,)."""
    total = values.new_zeros(n).index_add(0, output.answer_rows, values)
    count = values.new_zeros(n).index_add(0, output.answer_rows, torch.ones_like(values))
    return total / count


def answer_cross_entropy(output: VLMOutput, n: int) -> Tensor:
    """Mean cross-entropy over the answer tokens of each of ``n`` samples, (n,), float32."""
    return mean_by_sample(token_cross_entropy(output), output, n)
