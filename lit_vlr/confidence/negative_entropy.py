"""How concentrated the distributions are that the tokens were chosen from."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor

from lit_vlr.confidence.base import OnePassConfidence, check_statistic
from lit_vlr.functional._validation import check_choice
from lit_vlr.models.base import Generated

EntropyTokens: TypeAlias = Literal["all", "first"]
"""Which tokens count: the mean over the answer's, or the first alone."""


def negative_entropy(token_entropy: Tensor, token_mask: Tensor, tokens: EntropyTokens = "all") -> Tensor:
    r"""Minus the entropy :math:`H_t = -\sum_v p_t(v) \log p_t(v)`, of the first token or the mean over the answer's.

    Convention: nats, over the whole vocabulary, from probabilities; adding a constant to the logits changes nothing.

    Args:
        token_entropy: entropy at each generated token, (B, T).
        token_mask: True on the answer's tokens, end token included, (B, T).
        tokens: ``all`` or ``first``.

    Returns:
        (B,) in [-log V, 0]; 0 is certain.

    Raises:
        ValueError: if the shapes differ, an answer has no token, or ``tokens`` is neither.

    Reference:
        Malinin and Gales, Uncertainty Estimation in Autoregressive Structured Prediction, arXiv 2002.07650
        (entropy at the token level); along the greedy answer here, not along samples.

    >>> import torch
    >>> entropy, mask = torch.tensor([[0.5, 0.1, 7.0]]), torch.tensor([[True, True, False]])
    >>> negative_entropy(entropy, mask), negative_entropy(entropy, mask, "first")
    (tensor([-0.3000]), tensor([-0.5000]))
    """
    check_choice("tokens", tokens, EntropyTokens)
    check_statistic("token_entropy", token_entropy, token_mask)
    if tokens == "first":
        return -token_entropy[:, 0]
    return -token_entropy.masked_fill(~token_mask, 0.0).sum(1) / token_mask.sum(1)


class NegativeEntropy(OnePassConfidence):
    """Minus the entropy of the first token, or the mean over the answer's, in [-log V, 0]. See `negative_entropy`.

    Args:
        tokens: ``all`` or ``first``.

    Raises:
        ValueError: if ``tokens`` is neither.
    """

    bounds: ClassVar[tuple[float, float]] = (-math.inf, 0.0)

    def __init__(self, tokens: EntropyTokens = "all") -> None:
        super().__init__()
        check_choice("tokens", tokens, EntropyTokens)
        self.tokens: EntropyTokens = tokens

    def score(self, generated: Generated) -> Tensor:
        """The confidence of each answer, (B,)."""
        return negative_entropy(generated.token_entropy, generated.token_mask, self.tokens)
