"""Cross-entropy with smoothed labels: a control, and a warning."""

from __future__ import annotations

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_vlr.functional._validation import check_number
from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.tokens import mean_by_sample, token_cross_entropy
from lit_vlr.types import Batch, VLMOutput


class LabelSmoothing(Objective):
    r"""Cross-entropy against :math:`(1 - \epsilon)` on the right token and :math:`\epsilon / V` on every token.

    Here as a control, and it warns: smoothing pulls the largest logit down more where it is right than where it is
    wrong, so that the order of confidences, which is all that abstention rests on, gets worse.

    Args:
        smoothing: :math:`\epsilon`, in [0, 1]; 0 is `SFT`.

    Raises:
        ValueError: if it is out of range.

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, Section 7; Xia et al.,
        "Towards Understanding Why Label Smoothing Degrades Selective Classification and How to Fix It", ICLR 2025.
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        super().__init__()
        self.smoothing = check_number("smoothing", smoothing, 0, 1, "0.1 is usual, 0 smooths nothing")
        if smoothing > 0:
            rank_zero_warn(
                "Label smoothing makes confidence a worse guide to abstention (Xia et al., ICLR 2025); use it as a "
                "control, not to abstain by"
            )

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        return mean_by_sample(token_cross_entropy(output, self.smoothing), output, len(batch))
