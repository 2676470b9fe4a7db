"""AURC and AUGRC as objectives: the losses of what the model is surest of weigh most."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from lit_vlr.functional import augrc_loss, aurc_loss
from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.tokens import answer_cross_entropy
from lit_vlr.types import Batch, VLMOutput


class RankWeighted(Objective):
    r"""Cross-entropy times the weight of a sample's rank by confidence.

    .. math:: \ell_i = w_{\text{rank}(i)} \cdot \text{CE}_i

    with the weights of :func:`~lit_vlr.functional.aurc_loss` or :func:`~lit_vlr.functional.augrc_loss`, made for the
    samples that are there: those of all processes, whatever batch size was configured. Ranks are constants in the
    gradient. Confidence is the product of the largest probability at each position of the teacher-forced answer, which
    is the model's `SequenceProbability` wherever its greedy answer is the target.

    Weights sum to the number of samples (AURC) or to half of it (AUGRC), so that the learning rate of `SFT` fits.
    """

    @abstractmethod
    def weights(self, confidence: Tensor) -> Tensor:
        """Weights of the ranks, (B,)."""

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        losses = answer_cross_entropy(output, len(batch))
        confidence = greedy_log_probability(output, len(batch))
        everybody, first = gathered(confidence)
        weights = self.weights(everybody)[first : first + len(batch)].to(losses)
        return weights * losses


class AURCObjective(RankWeighted):
    """The area under the risk-coverage curve, with cross-entropy as the loss. See `RankWeighted`.

    Reference:
        Zhou et al., "A Novel Characterization of the Population Area Under the Risk Coverage Curve", ICML 2025.
    """

    def weights(self, confidence: Tensor) -> Tensor:
        """Weights of the ranks, (B,): about ln B for the surest sample, 1/B for the least sure one."""
        return aurc_loss(confidence, torch.ones(len(confidence), dtype=torch.float64), "none")


class AUGRCObjective(RankWeighted):
    """The area under the generalised risk-coverage curve, with cross-entropy as the loss. See `RankWeighted`.

    Reference:
        Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024.
    """

    def weights(self, confidence: Tensor) -> Tensor:
        """Weights of the ranks, (B,): linear, from 1/(2B) to almost 1."""
        return augrc_loss(confidence, torch.ones(len(confidence), dtype=torch.float64), "none")


def greedy_log_probability(output: VLMOutput, n: int) -> Tensor:
    """Sum over each sample's answer positions of the largest log-probability, (n,), without a gradient."""
    best = output.answer_logits.detach().float().log_softmax(-1).amax(-1)
    return best.new_zeros(n).index_add(0, output.answer_rows, best)


def gathered(values: Tensor) -> tuple[Tensor, int]:
    """A column (b,) of all processes in the order of their ranks, and where this one's begins."""
    if not (dist.is_available() and dist.is_initialized()):
        return values, 0
    columns = gather_all_tensors(values)
    return torch.cat(columns), sum(len(column) for column in columns[: dist.get_rank()])
