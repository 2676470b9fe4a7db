"""Supervised fine-tuning: teacher-forced cross-entropy."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from lit_vlr.objectives.base import Objective
from lit_vlr.types import Batch, VLMOutput


class SFT(Objective):
    """Mean cross-entropy over each sample's answer tokens, end token included.

    The mean is taken per sample, so that a long answer weighs no more than a short one; transformers' own loss averages
    over all tokens of the batch.
    """

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        return answer_cross_entropy(output, len(batch))


def answer_cross_entropy(output: VLMOutput, n: int) -> Tensor:
    """Mean cross-entropy over the answer tokens of each of ``n`` samples, (n,), float32."""
    losses = F.cross_entropy(output.answer_logits.float(), output.answer_labels, reduction="none")
    total = losses.new_zeros(n).index_add(0, output.answer_rows, losses)
    count = losses.new_zeros(n).index_add(0, output.answer_rows, losses.new_ones(len(losses)))
    return total / count
