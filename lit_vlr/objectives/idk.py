"""[IDK]: what the model gets wrong is partly turned into not knowing."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr.functional._validation import check_number
from lit_vlr.objectives.abstaining import AbstainingObjective
from lit_vlr.types import Batch


class IDK(AbstainingObjective):
    r"""At the first token, moves part of the target's mass to abstaining where the model is wrong.

    .. math:: \ell = -(1 - \lambda) \log p_y - \lambda \log p_\text{abs}, \qquad
        \lambda = \Pi \left(1 - \frac{p_y}{\max_{v \ne \text{abs}} p_v}\right)

    :math:`\lambda` is 0 where the right token is the likeliest one, so that right predictions are trained as in `SFT`;
    it is a constant in the gradient. Where the model is right there is also :math:`-\log(1 - p_\text{abs})`, so that
    abstaining does not spread to what is known.

    Args:
        mass: :math:`\Pi`, the most that is moved, in [0, 1]; 0 leaves the second term alone.
        guard: weight of the second term, not negative; 0 with ``mass`` 0 is `SFT`.
        abstention: see `AbstainingObjective`.
        after: see `AbstainingObjective`.

    Raises:
        ValueError: if a number is out of range.
        UserError: for the reasons of `AbstainingObjective`.

    Reference:
        Cohen et al., "I Don't Know: Explicit Modeling of Uncertainty with an [IDK] Token", NeurIPS 2024, Section 3.
        There at every token of a corpus and with a new token; here at an answer's first, with one of the vocabulary.
    """

    def __init__(
        self, mass: float = 0.5, guard: float = 1.0, abstention: str = "unanswerable", after: int = 100
    ) -> None:
        super().__init__(abstention, after)
        self.mass = check_number("mass", mass, 0, 1, "0.5 is usual")
        self.guard = check_number("guard", guard, 0, float("inf"), "1 is usual")

    def first_loss(self, logits: Tensor, labels: Tensor, rows: Tensor, batch: Batch) -> Tensor:
        """The loss of first tokens that may abstain instead, (b,)."""
        assert self.token is not None
        log_probs = logits.log_softmax(-1)
        right, abstains = log_probs.gather(1, labels[:, None])[:, 0], log_probs[:, self.token]
        others = log_probs.detach().index_fill(1, torch.tensor([self.token], device=logits.device), float("-inf"))
        behind = right.detach() - others.amax(1)  # at most 0, and 0 where the right token leads
        moved = self.mass * (1 - behind.exp())
        # log(1 - p) from the other probabilities: where p is nearly 1, a difference from 1 has no digits left.
        answers = logits.index_fill(1, torch.tensor([self.token], device=logits.device), float("-inf")).logsumexp(1)
        guard = logits.logsumexp(1) - answers
        return -(1 - moved) * right - moved * abstains + self.guard * torch.where(behind == 0, guard, 0.0)
