"""AURC and AUGRC as objectives: the losses of what the model is surest of weigh most."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from lit_vlr.confidence import Confidence
from lit_vlr.errors import UserError
from lit_vlr.functional import augrc_loss, aurc_loss
from lit_vlr.functional._validation import check_choice, check_number
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.base import Objective, prepared
from lit_vlr.objectives.judging import expected_accuracy
from lit_vlr.objectives.tokens import answer_cross_entropy
from lit_vlr.types import Batch, VLMOutput

Risk = Literal["soft_accuracy", "cross_entropy"]


class RankWeighted(Objective):
    r"""The risk of a sample times the weight of its rank by confidence, beside plain cross-entropy.

    .. math:: \ell_i = w_{\text{rank}(i)} \cdot r_i + \gamma \cdot \text{CE}_i

    with the weights of :func:`~lit_vlr.functional.aurc_loss` or :func:`~lit_vlr.functional.augrc_loss`, made for the
    samples that are there: those of all processes, whatever batch size was configured. Ranks are constants in the
    gradient. Confidence is the product of the largest probability at each position of the teacher-forced answer, which
    is the model's `SequenceProbability` wherever its greedy answer is the target.

    The risk of ``soft_accuracy`` is what an answer *generated* from the model's distribution is expected to lose,

    .. math:: r_i = 1 - \sum_a p(a \mid x_i)\, \text{accuracy}(a)

    summed over the annotators' distinct answers, for by VQA accuracy every other answer is worth nothing: so it is
    exact, up to what `expected_accuracy` says, has no sampling noise, and is differentiable. It takes a second pass
    with all these answers behind one prompt. Where p is near 0 so is its gradient: a model has to be trained by
    cross-entropy first, and to be held by it.

    The risk of ``cross_entropy`` is that of the trained answer. Weights sum to the number of samples (AURC) or to half
    of it (AUGRC), so that the learning rate of `SFT` fits.

    Args:
        risk: what is weighed.
        anchor: :math:`\gamma`, not negative.
        after: training batches of plain cross-entropy first.
        dialect: of VQA accuracy.

    Raises:
        ValueError: if the risk is unknown, or the anchor negative.
        UserError: if ``after`` is negative.
    """

    seen: Tensor
    """Training batches so far."""

    def __init__(
        self,
        risk: Risk = "soft_accuracy",
        anchor: float = 0.5,
        after: int = 100,
        dialect: VQADialect = "no_skip",
    ) -> None:
        super().__init__()
        if after < 0:
            raise UserError(f"Expected `after` of at least 0 training batches but got {after}")
        check_choice("risk", risk, Risk)
        self.risk: Risk = risk
        self.anchor = check_number("anchor", anchor, 0, float("inf"), "0.5 is usual")
        self.after = after
        self.dialect: VQADialect = dialect
        self._family: tuple[ModelFamily] | None = None  # in a tuple: no part of the objective, see `TrainSelector`
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Remember what can be asked for the probability of an answer."""
        self._family = (family,)

    @abstractmethod
    def weights(self, confidence: Tensor) -> Tensor:
        """Weights of the ranks, (B,)."""

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        losses = answer_cross_entropy(output, len(batch))
        if self.training:
            self.seen += 1
        if self.seen <= self.after:
            return losses
        everybody, first = gathered(greedy_log_probability(output, len(batch)))
        weights = self.weights(everybody)[first : first + len(batch)].to(losses)
        return weights * self._risks(losses, batch) + self.anchor * losses

    def _risks(self, losses: Tensor, batch: Batch) -> Tensor:
        if self.risk == "cross_entropy":
            return losses
        (family,) = prepared(self._family)
        return 1 - expected_accuracy(family, batch, self.dialect).to(losses)


class AURCObjective(RankWeighted):
    """The area under the risk-coverage curve. See `RankWeighted`.

    Reference:
        Zhou et al., "A Novel Characterization of the Population Area Under the Risk Coverage Curve", ICML 2025. The
        expected accuracy of generated answers in the place of its losses is ours.
    """

    def weights(self, confidence: Tensor) -> Tensor:
        """Weights of the ranks, (B,): about ln B for the surest sample, 1/B for the least sure one."""
        return aurc_loss(confidence, torch.ones(len(confidence), dtype=torch.float64), "none")


class AUGRCObjective(RankWeighted):
    """The area under the generalised risk-coverage curve. See `RankWeighted`.

    Reference:
        Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024. The
        expected accuracy of generated answers in the place of its losses is ours.
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
