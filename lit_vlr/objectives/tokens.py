"""Losses token by token, brought to one number a sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lit_vlr.types import VLMOutput


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
