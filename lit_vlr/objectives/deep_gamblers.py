"""Deep Gamblers: betting on answers, or keeping the stake."""

from __future__ import annotations

import math

from torch import Tensor

from lit_vlr.functional import deep_gamblers_loss
from lit_vlr.functional._validation import check_number
from lit_vlr.objectives.abstaining import AbstainingObjective
from lit_vlr.types import Batch


class DeepGamblers(AbstainingObjective):
    r"""At the first token :math:`-\log(p_y + p_\text{abs} / o)`, cross-entropy on the rest.

    Args:
        payoff: o, above 1: abstaining pays where no answer is likelier than 1/o. Towards infinity this is `SFT`.
        abstention: see `AbstainingObjective`.
        after: see `AbstainingObjective`.

    Raises:
        ValueError: if the payoff is 1 or less.
        UserError: for the reasons of `AbstainingObjective`.

    Reference:
        Liu et al., "Deep Gamblers: Learning to Abstain with Portfolio Theory", NeurIPS 2019, Section 4; see
        :func:`~lit_vlr.functional.deep_gamblers_loss`. Taking a token of the vocabulary is ours: the paper adds a class
        to a classifier.
    """

    def __init__(self, payoff: float = 2.2, abstention: str = "unanswerable", after: int = 100) -> None:
        super().__init__(abstention, after)
        remedy = "abstaining has to cost something; 2.2 is usual"
        self.payoff = check_number("payoff", payoff, 1, math.inf, remedy, low_open=True)

    def first_loss(self, logits: Tensor, labels: Tensor, rows: Tensor, batch: Batch) -> Tensor:
        """The loss of first tokens that may abstain instead, (b,)."""
        assert self.token is not None
        return deep_gamblers_loss(logits, labels, self.payoff, self.token)
