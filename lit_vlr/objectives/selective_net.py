"""SelectiveNet: be right on a promised share of the questions, and learn which."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from lit_vlr.confidence import Confidence, Selector
from lit_vlr.errors import UserError
from lit_vlr.functional._validation import check_number
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.base import Objective, prepared
from lit_vlr.objectives.tokens import answer_cross_entropy
from lit_vlr.types import Batch, VLMOutput


class SelectiveNet(Objective):
    r"""Cross-entropy of the answers that the selector would give, at a coverage that it must not fall below.

    .. math::
        L = \alpha \left[\frac{E[\ell g]}{E[g]} + \lambda \max(0, c - E[g])^2\right] + (1 - \alpha)\, E[\ell]

    with the selector's probability g and the cross-entropy :math:`\ell` of whole answers. Where every question is
    selected alike, both terms are cross-entropy. Expectations are over the samples of all processes.

    The ratio has no meaning for one sample: the loss of each is that of the whole batch, so that their mean is L.

    Deviations: the paper's third head, which sees every question so that the features are not those of easy ones alone,
    is the model itself here. The selector reads detached features, as `TrainSelector` has it: a language model's states
    are not bent towards selecting.

    Args:
        coverage: c, in (0, 1].
        penalty: :math:`\lambda`, not negative.
        share: :math:`\alpha`, in [0, 1]; 0 is `SFT`, and leaves the selector untrained: a fit refuses it.

    Raises:
        ValueError: if a number is out of range.
        UserError: when training starts, if the confidence is no `Selector`.

    Reference:
        Geifman and El-Yaniv, "SelectiveNet: A Deep Neural Network with an Integrated Reject Option", ICML 2019,
        Section 4. Code that leaves out the division by coverage learns to select nothing.
    """

    def __init__(self, coverage: float = 0.8, penalty: float = 32.0, share: float = 0.5) -> None:
        super().__init__()
        self.coverage = check_number("coverage", coverage, 0, 1, "pass the share to answer", low_open=True)
        self.penalty = check_number("penalty", penalty, 0, float("inf"), "32 is usual")
        self.share = check_number("share", share, 0, 1, "0.5 is usual")
        self._selector: tuple[Selector] | None = None  # in a tuple: no part of the objective, see `TrainSelector`

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Remember what selects."""
        scorer = confidence.scorer
        if not isinstance(scorer, Selector):
            raise UserError(
                f"Expected the confidence `Selector` with the objective SelectiveNet but got {confidence!r}; add "
                "--config configs/confidence/selector.yaml"
            )
        self._selector = (scorer,)

    def trains(self, confidence: Confidence) -> bool:
        """The selector is one half of it, where that half has a share."""
        return self.share > 0 and isinstance(confidence.scorer, Selector)

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        (selector,) = prepared(self._selector)
        losses = answer_cross_entropy(output, len(batch))
        selected = selector.logits(output, len(batch))[:, 0].sigmoid()
        return self.selective_loss(losses, selected).expand(len(batch)) + (1 - self.share) * losses

    def selective_loss(self, losses: Tensor, selected: Tensor) -> Tensor:
        """The first term, a scalar, of the samples of all processes.

        Each process has the gradient of its own samples alone, and averaging gradients over processes, as training
        does, would divide the sum of these by their number: so it is multiplied by it first.
        """
        here = torch.stack([(losses * selected).sum(), selected.sum(), selected.new_tensor(len(selected))])
        everywhere, n_processes = _summed(here)
        weighted, covered, n = everywhere
        coverage = covered / n
        value: Tensor = self.share * (
            weighted / covered.clamp(min=torch.finfo(covered.dtype).tiny)
            + self.penalty * (self.coverage - coverage).clamp(min=0).square()
        )
        return value if n_processes == 1 else value.detach() + n_processes * (value - value.detach())


def _summed(here: Tensor) -> tuple[Tensor, int]:
    """A vector summed over processes, with the gradient of this one's share, and the number of processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return here, 1
    everywhere = here.detach().clone()
    dist.all_reduce(everywhere)
    return everywhere - here.detach() + here, dist.get_world_size()
