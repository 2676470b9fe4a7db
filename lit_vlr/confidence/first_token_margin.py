"""How far the first token is ahead of the runner-up."""

from __future__ import annotations

from torch import Tensor

from lit_vlr.confidence.base import OnePassConfidence, check_statistic
from lit_vlr.models.base import Generated


def first_token_margin(token_margin: Tensor, token_mask: Tensor) -> Tensor:
    """Probability of the best first token minus that of the second best: "best versus second best".

    In short answers the first token decides between answers, and the rest spells them out.

    Args:
        token_margin: the margin at each generated token, (B, T).
        token_mask: True on the answer's tokens, end token included, (B, T).

    Returns:
        (B,) in [0, 1]; 0 is a tie.

    Raises:
        ValueError: if the shapes differ or an answer has no token.

    Reference:
        Scheffer et al., Active Hidden Markov Models for Information Extraction, IDA 2001 (margin between the two
        likeliest labels).

    >>> import torch
    >>> first_token_margin(torch.tensor([[0.7, 0.1]]), torch.tensor([[True, True]]))
    tensor([0.7000])
    """
    check_statistic("token_margin", token_margin, token_mask)
    return token_margin[:, 0]


class FirstTokenMargin(OnePassConfidence):
    """The probability margin of the first token, in [0, 1]. See `first_token_margin`."""

    def score(self, generated: Generated) -> Tensor:
        """The confidence of each answer, (B,)."""
        return first_token_margin(generated.token_margin, generated.token_mask)
