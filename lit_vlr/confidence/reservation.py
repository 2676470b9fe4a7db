"""How much of the first token's probability is not on abstaining."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.confidence.base import Confidence, scores_of_candidates
from lit_vlr.models.abstention_token import abstention_token
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.types import Batch


class Reservation(Confidence):
    r"""One minus the probability that the answer is the token that abstains, in [0, 1]; one more pass.

    .. math:: 1 - p_\text{abs}

    The score that Deep Gamblers and self-adaptive training are evaluated with in their papers: what the model was paid
    for not answering. Without an objective that teaches abstaining it is whatever the model learned of the word.

    Args:
        abstention: the words that abstain, one token to the model: those that `AbstainingObjective` was trained with.

    Raises:
        UserError: when a model is given, if the words are not one token to it.

    Reference:
        Liu et al., "Deep Gamblers: Learning to Abstain with Portfolio Theory", NeurIPS 2019, Section 4.2; Huang, Zhang
        and Zhang, "Self-Adaptive Training: beyond Empirical Risk Minimization", NeurIPS 2020, Section 4.
    """

    def __init__(self, abstention: str = "unanswerable") -> None:
        super().__init__()
        self.abstention = abstention

    def check(self, family: ModelFamily) -> None:
        """Check that what abstains is one token."""
        self._token(family)

    def _token(self, family: ModelFamily) -> int:
        return abstention_token(family, self.abstention, type(self).__name__)

    @torch.no_grad()
    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        return self._log_kept(family, batch).exp()

    def candidate_scores(self, family: ModelFamily, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Log of the confidence for the likeliest answer, less for others by as much as they are less likely, (B, K).

        Two passes.
        """
        likely = family.answer_log_probs(batch, answers)
        return scores_of_candidates(self._log_kept(family, batch), likely)

    def _log_kept(self, family: ModelFamily, batch: Batch) -> Tensor:
        """Log of 1 - p from the other probabilities: where p is nearly 1, a difference from 1 has no digits left."""
        output = family(batch)
        logits = output.answer_logits[output.first_places(len(batch))].float()
        token = torch.tensor([self._token(family)], device=logits.device)
        kept: Tensor = logits.index_fill(1, token, float("-inf")).logsumexp(1) - logits.logsumexp(1)
        return kept
