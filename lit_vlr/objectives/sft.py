"""Supervised fine-tuning: teacher-forced cross-entropy."""

from __future__ import annotations

from torch import Tensor

from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.tokens import answer_cross_entropy
from lit_vlr.types import Batch, VLMOutput


class SFT(Objective):
    """Mean cross-entropy over each sample's answer tokens, end token included.

    The mean is taken per sample, so that a long answer weighs no more than a short one; transformers' own loss averages
    over all tokens of the batch.
    """

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        return answer_cross_entropy(output, len(batch))
