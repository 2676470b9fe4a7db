"""The probability of the answer's least likely token."""

from __future__ import annotations

from torch import Tensor

from lit_vlr.confidence.base import OnePassConfidence, check_statistic
from lit_vlr.models.base import Generated


def min_token_probability(token_log_probs: Tensor, token_mask: Tensor) -> Tensor:
    """Probability of the least likely token of each answer: one doubtful word is enough.

    Args:
        token_log_probs: log-probability of each generated token, (B, T).
        token_mask: True on the answer's tokens, end token included, (B, T).

    Returns:
        (B,) in [0, 1]; at least the sequence probability, at most the normalised one.

    Raises:
        ValueError: if the shapes differ or an answer has no token.

    Reference:
        Manakul et al., SelfCheckGPT, arXiv 2303.08896 (the maximum of -log p over the tokens of a sentence; here as a
        probability).

    >>> import torch
    >>> min_token_probability(torch.log(torch.tensor([[0.5, 0.25, 0.1]])), torch.tensor([[True, True, False]]))
    tensor([0.2500])
    """
    check_statistic("token_log_probs", token_log_probs, token_mask)
    return token_log_probs.masked_fill(~token_mask, 0.0).amin(1).exp()  # log-probabilities are at most 0


class MinTokenProbability(OnePassConfidence):
    """The probability of the least likely token, in [0, 1]. See `min_token_probability`."""

    def score(self, generated: Generated) -> Tensor:
        """The confidence of each answer, (B,)."""
        return min_token_probability(generated.token_log_probs, generated.token_mask)
