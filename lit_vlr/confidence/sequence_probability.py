"""The probability of the whole answer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lit_vlr.confidence.base import OnePassConfidence, check_statistic
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.types import Batch


def sequence_probability(token_log_probs: Tensor, token_mask: Tensor) -> Tensor:
    """Product of the probabilities of the answer's tokens, end token included: "MaxProb" of a generative model.

    Args:
        token_log_probs: log-probability of each generated token, (B, T).
        token_mask: True on the answer's tokens, (B, T); whatever stands elsewhere does not count.

    Returns:
        (B,) in [0, 1].

    Raises:
        ValueError: if the shapes differ or an answer has no token.

    Reference:
        Whitehead et al., Reliable Visual Question Answering, arXiv 2204.13631, section 4.1 (MaxProb).

    >>> import torch
    >>> sequence_probability(torch.log(torch.tensor([[0.5, 0.5, 0.1]])), torch.tensor([[True, True, False]]))
    tensor([0.2500])
    """
    check_statistic("token_log_probs", token_log_probs, token_mask)
    return token_log_probs.masked_fill(~token_mask, 0.0).sum(1).exp()


class SequenceProbability(OnePassConfidence):
    """The probability of the whole answer, in [0, 1]: the default, and the baseline. See `sequence_probability`."""

    def candidate_scores(self, family: ModelFamily, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Log-probabilities of whole answers, (B, K): exactly its logarithm, for each of them."""
        return family.answer_log_probs(batch, answers)

    def score(self, generated: Generated) -> Tensor:
        """The confidence of each answer, (B,)."""
        return sequence_probability(generated.token_log_probs, generated.token_mask)
