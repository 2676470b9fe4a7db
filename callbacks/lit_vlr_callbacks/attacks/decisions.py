"""What a module that abstains does with its candidates, and how far it is from doing something worse. Pure functions.

Shapes: B samples, K candidates. ``scores`` (B, K) are on any scale, -inf where there is no candidate; ``correctness``
(B, K) is in [0, 1]. A candidate is *wrong* where it is 0 and *right* where it is above: the line that effective
reliability draws, which charges only answers that nobody gave.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_LARGEST = 1e15  # stands for an infinite margin where its slope, 1 / margin², must stay a number


class Decision(NamedTuple):
    """What is done with each sample.

    Attributes:
        answered: whether the answer is given, (B,) bool; otherwise the module abstains.
        accuracy: correctness of the answer, given or withheld, (B,).
    """

    answered: Tensor
    accuracy: Tensor

    @property
    def right(self) -> Tensor:
        """Answered, and not wrong, (B,) bool."""
        return self.answered & (self.accuracy > 0)

    @property
    def wrong(self) -> Tensor:
        """Answered and wrong, (B,) bool."""
        return self.answered & (self.accuracy == 0)

    def reward(self, cost: float) -> Tensor:
        """Effective reliability of each sample, (B,), in [-cost, 1].

        Accuracy where it is answered and right, -cost where answered and wrong, 0 where abstained.

        Reference:
            Whitehead et al., Reliable Visual Question Answering, arXiv 2204.13631, section 3 (effective reliability).
        """
        earned = torch.where(self.accuracy > 0, self.accuracy, -cost)
        return torch.where(self.answered, earned, 0.0)


def decide(scores: Tensor, correctness: Tensor, threshold: float, given: Tensor | None = None) -> Decision:
    """The decision at a threshold: the best candidate is answered where its score is not below it.

    Args:
        scores: (B, K).
        correctness: (B, K).
        threshold: on the scale of the scores; +inf answers nothing.
        given: index of the answer, (B,), where it is known; None is the highest score.

    >>> decide(torch.tensor([[0.7, 0.3], [0.4, 0.6]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), 0.65)
    Decision(answered=tensor([ True, False]), accuracy=tensor([1., 0.]))
    """
    chosen = (scores.argmax(1) if given is None else given)[:, None]
    answered = scores.gather(1, chosen)[:, 0] >= threshold
    return Decision(answered & (threshold < math.inf), correctness.gather(1, chosen)[:, 0])


def best_wrong_and_right(scores: Tensor, correctness: Tensor) -> tuple[Tensor, Tensor]:
    """Highest score w among the wrong candidates and r among the right ones, (B,) each; -inf where there are none."""
    wrong = correctness == 0
    return _best(scores, wrong), _best(scores, ~wrong)


def wrong_and_confident_margin(scores: Tensor, correctness: Tensor, threshold: float) -> Tensor:
    r"""How far each sample is beyond being answered wrongly.

    .. math:: m = \min(w - r,\ w - t) = w - \max(r, t)

    Above 0 the best wrong candidate beats every right one and the threshold. Its gradient vanishes nowhere: it always
    raises w, and lowers r where that stands in the way. ±inf where there is no such candidate or threshold.

    Returns:
        (B,).

    >>> wrong_and_confident_margin(torch.tensor([[0.7, 0.3], [0.25, 0.75]]), torch.tensor([[1.0, 0.0]] * 2), 0.5)
    tensor([-0.4000,  0.2500])
    """
    wrong, right = best_wrong_and_right(scores, correctness)
    return wrong - right.clamp_min(threshold)


def abstention_margin(scores: Tensor, threshold: float) -> Tensor:
    r"""How far each sample is beyond being abstained from: :math:`t - \max_k s_k`, above 0 where it is; (B,).

    >>> abstention_margin(torch.tensor([[0.7, 0.3], [0.25, 0.5]]), 0.6)
    tensor([-0.1000,  0.1000])
    """
    return threshold - scores.amax(1)


def smooth_cost(scores: Tensor, correctness: Tensor, threshold: float, cost: float) -> Tensor:
    r"""Minus the effective reliability of each sample, with its two steps made smooth.

    A sample's reward falls from its accuracy a to 0 once the right answer is not given any more, and further to -c once
    a wrong one is. With the margins of these two events and a sigmoid h whose slope is largest at 0,

    .. math:: L = -a\,(1 - h(\max(w, t) - r)) + c\, h(w - \max(r, t)), \quad h(m) = \tfrac12 + \tfrac{m}{2 (1 + |m|)}

    so that the failure that is closer counts more, in proportion to what it costs. Both terms lower r and raise w:
    they never pull against each other. h falls off as 1/m², not exponentially, so that far margins have a gradient too.

    Args:
        scores: (B, K).
        correctness: (B, K); a is that of the best right candidate.
        threshold: t.
        cost: c, not negative.

    Returns:
        (B,), in [-1, c].

    >>> smooth_cost(torch.tensor([[-0.5, -2.0]]), torch.tensor([[1.0, 0.0]]), threshold=-1.0, cost=1.0)  # -2/3 + 1/5
    tensor([-0.4667])
    """
    wrong, right = best_wrong_and_right(scores, correctness)
    lost, failed = wrong.clamp_min(threshold) - right, wrong - right.clamp_min(threshold)
    best_right = scores.masked_fill(correctness == 0, -math.inf).argmax(1, keepdim=True)
    accuracy = correctness.gather(1, best_right)[:, 0]  # 0 where all candidates are wrong
    return -accuracy * (1 - _sigmoid(lost)) + cost * _sigmoid(failed)


def _best(scores: Tensor, among: Tensor) -> Tensor:
    return scores.masked_fill(~among, -math.inf).amax(1)


def _sigmoid(margin: Tensor) -> Tensor:
    # The slope at infinity would be 0 · inf.
    return (1 + F.softsign(margin.clamp(-_LARGEST, _LARGEST))) / 2
