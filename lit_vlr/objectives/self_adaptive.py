"""Self-adaptive training: believe a label as far as the model has come to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lit_vlr.functional import self_adaptive_loss, self_adaptive_target
from lit_vlr.functional._validation import check_number
from lit_vlr.objectives.abstaining import AbstainingObjective
from lit_vlr.types import Batch


class SelfAdaptive(AbstainingObjective):
    r"""At the first token :math:`-t \log p_y - (1 - t) \log p_\text{abs}`, cross-entropy on the rest.

    t starts at 1 for every sample and follows the probability that the model gives its answer, among the answers, each
    time the sample is trained on. It is kept by uid, travels in checkpoints, and is a few bytes a sample. Evaluation
    looks at it and changes nothing. Of several processes each keeps what it has seen, and a checkpoint holds that of
    the first.

    Args:
        momentum: m in :math:`t \leftarrow m t + (1 - m) p`, in [0, 1]; 1 is `SFT`.
        abstention: see `AbstainingObjective`.
        after: see `AbstainingObjective`.

    Raises:
        ValueError: if the momentum is out of range.
        UserError: for the reasons of `AbstainingObjective`.

    Reference:
        Huang, Zhang and Zhang, "Self-Adaptive Training: beyond Empirical Risk Minimization", NeurIPS 2020, Section 4
        and Algorithm 1; see :func:`~lit_vlr.functional.self_adaptive_loss`. Under adversarial training the model's
        opinion is that of the attacked picture.
    """

    def __init__(self, momentum: float = 0.9, abstention: str = "unanswerable", after: int = 100) -> None:
        super().__init__(abstention, after)
        self.momentum = check_number("momentum", momentum, 0, 1, "0.9 is usual")
        self.targets: dict[str, float] = {}

    def first_loss(self, logits: Tensor, labels: Tensor, rows: Tensor, batch: Batch) -> Tensor:
        """The loss of first tokens that may abstain instead, (b,)."""
        assert self.token is not None
        uids = [batch.uids[row] for row in rows.tolist()]
        believed = torch.tensor([self.targets.get(uid, 1.0) for uid in uids], device=logits.device)
        if self.training:
            believed = self_adaptive_target(believed, logits, labels, self.momentum, self.token)
            self.targets.update(zip(uids, believed.tolist(), strict=True))
        return self_adaptive_loss(logits, labels, believed, self.token)

    def get_extra_state(self) -> dict[str, float]:
        """What is believed of each sample."""
        return dict(self.targets)

    def set_extra_state(self, state: Any) -> None:  # noqa: ANN401 - torch's own signature
        """Go on with what was believed."""
        self.targets = dict(state)
