"""The probability of the answer, a token."""

from __future__ import annotations

from torch import Tensor

from lit_vlr.confidence.base import OnePassConfidence, check_statistic
from lit_vlr.models.base import Generated


def normalized_probability(token_log_probs: Tensor, token_mask: Tensor) -> Tensor:
    r"""Geometric mean of the token probabilities, :math:`\exp(\frac1n \sum_{t=1}^{n} \log p_t)`: 1 / perplexity.

    Unlike the probability of the sequence it does not fall with the answer's length.

    Args:
        token_log_probs: log-probability of each generated token, (B, T).
        token_mask: True on the answer's tokens, end token included, (B, T).

    Returns:
        (B,) in [0, 1].

    Raises:
        ValueError: if the shapes differ or an answer has no token.

    Reference:
        Malinin and Gales, Uncertainty Estimation in Autoregressive Structured Prediction, arXiv 2002.07650
        (length-normalised log-likelihood).

    >>> import torch
    >>> normalized_probability(torch.log(torch.tensor([[0.25, 1.0, 0.1]])), torch.tensor([[True, True, False]]))
    tensor([0.5000])
    """
    check_statistic("token_log_probs", token_log_probs, token_mask)
    return (token_log_probs.masked_fill(~token_mask, 0.0).sum(1) / token_mask.sum(1)).exp()


class NormalizedProbability(OnePassConfidence):
    """Geometric mean of the token probabilities, in [0, 1]. See `normalized_probability`."""

    def score(self, generated: Generated) -> Tensor:
        """The confidence of each answer, (B,)."""
        return normalized_probability(generated.token_log_probs, generated.token_mask)
