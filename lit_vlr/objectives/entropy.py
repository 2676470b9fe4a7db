"""Cross-entropy, and a price on being undecided."""

from __future__ import annotations

import math

from torch import Tensor

from lit_vlr.functional._validation import check_number
from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.tokens import mean_by_sample, token_cross_entropy
from lit_vlr.types import Batch, VLMOutput


class EntropyRegularization(Objective):
    r"""Cross-entropy plus the entropy of the prediction, token by token.

    .. math:: \ell = -\log p_y + \beta\, H(p), \qquad H(p) = -\sum_v p_v \log p_v

    The entropy is that of a distribution, so it does not change where a constant is added to the logits.

    Args:
        weight: :math:`\beta`; 0 is `SFT`. Above 0 the model is pushed to decide, as in the paper; below 0 it is paid
            for not being sure (Pereyra et al.).

    Raises:
        ValueError: if it is not a finite number.

    Reference:
        Feng et al., "Towards Better Selective Classification", ICLR 2023 (entropy-regularised loss); Pereyra et al.,
        "Regularizing Neural Networks by Penalizing Confident Output Distributions", ICLR Workshops 2017.
    """

    def __init__(self, weight: float = 0.01) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, -math.inf, math.inf, "0.01 is usual")

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        log_probs = output.answer_logits.float().log_softmax(-1)
        probs = log_probs.exp()
        # A forbidden token has logit -inf, and 0 · -inf is no number.
        entropy = -(probs * log_probs.masked_fill(probs == 0, 0.0)).sum(-1)
        return mean_by_sample(token_cross_entropy(output) + self.weight * entropy, output, len(batch))
