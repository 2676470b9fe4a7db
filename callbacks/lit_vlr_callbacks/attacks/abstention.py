"""What an attack on a module that abstains is after: objectives for any `Attack`, at a given threshold.

Cross-entropy asks for a wrong answer and does not care whether it is given. These losses know the threshold:
`WrongAndConfident` wants a wrong answer that is given, `ForceAbstention` a right one that is withheld, `EitherFailure`
whatever costs most. Every attack raises them as it raises any loss: pass one as ``objective`` to
`lit_vlr_callbacks.attack_batch`, for a module that `SupportsAbstentionAttack`.

Some samples cannot be made worse: what is abstained from already cannot be forced to abstain. They are *closed*: their
loss is 0 with a gradient of 0, and their pictures are left clean.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, AttackResult
from lit_vlr_callbacks.attacks.decisions import (
    Decision,
    abstention_margin,
    best_wrong_and_right,
    decide,
    smooth_cost,
    wrong_and_confident_margin,
)
from lit_vlr_callbacks.protocols import Candidates


class AbstentionObjective(ABC):
    """What shall become of each sample's decision.

    Args:
        threshold: the least confidence that is answered, on the scale of the module's confidence; -inf answers
            everything, +inf nothing. None is the module's own.

    Raises:
        ValueError: if the threshold is NaN.
    """

    def __init__(self, threshold: float | None = None) -> None:
        if threshold is not None and math.isnan(threshold):
            raise ValueError("Expected `threshold` as a number or None but got nan; None is the module's own threshold")
        self.threshold = threshold

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in vars(self).items())})"

    @abstractmethod
    def loss(self, scores: Tensor, correctness: Tensor, threshold: float) -> Tensor:
        """What the attack raises, (B,); (B, K) scores and correctness. May be infinite on closed samples."""

    @abstractmethod
    def open(self, clean: Decision, has_wrong: Tensor, threshold: float) -> Tensor:
        """Which samples can be made worse, (B,) bool.

        Args:
            clean: the decision on the clean pictures.
            has_wrong: whether there is any wrong candidate, (B,).
            threshold: on the scale of the scores.
        """

    @abstractmethod
    def reached(self, clean: Decision, now: Decision) -> Tensor:
        """Whether the aim is reached, (B,) bool; of samples that are open."""


class WrongAndConfident(AbstentionObjective):
    r"""Make the answer wrong *and* given: m = min(w - r, w - t), see `decisions.wrong_and_confident_margin`.

    A loss above 0 means that it is. Closed: samples that are answered wrongly already, those without a wrong
    candidate, and all of them where the threshold is +inf.

    Args:
        threshold: see `AbstentionObjective`.

    >>> WrongAndConfident().loss(torch.tensor([[0.4, 0.6]]), torch.tensor([[1.0, 0.0]]), threshold=0.5)
    tensor([0.1000])
    """

    def loss(self, scores: Tensor, correctness: Tensor, threshold: float) -> Tensor:
        """The margin, (B,)."""
        return wrong_and_confident_margin(scores, correctness, threshold)

    def open(self, clean: Decision, has_wrong: Tensor, threshold: float) -> Tensor:
        """Not wrong and given yet, and able to be."""
        return has_wrong & ~clean.wrong & (threshold < math.inf)

    def reached(self, clean: Decision, now: Decision) -> Tensor:
        """Answered, and wrong."""
        return now.wrong


class ForceAbstention(AbstentionObjective):
    r"""Have a right answer withheld: :math:`t - \max_k s_k`, see `decisions.abstention_margin`.

    A loss above 0 means that the module abstains. Closed: everything but what is answered, and not wrong, on the clean
    picture; and all of it where the threshold is -inf, below which no score falls.

    Args:
        threshold: see `AbstentionObjective`.

    >>> ForceAbstention().loss(torch.tensor([[0.4, 0.6]]), torch.tensor([[1.0, 0.0]]), threshold=0.5)
    tensor([-0.1000])
    """

    def loss(self, scores: Tensor, correctness: Tensor, threshold: float) -> Tensor:
        """The margin, (B,)."""
        return abstention_margin(scores, threshold)

    def open(self, clean: Decision, has_wrong: Tensor, threshold: float) -> Tensor:
        """Right and given."""
        return clean.right & (threshold > -math.inf)

    def reached(self, clean: Decision, now: Decision) -> Tensor:
        """Not answered any more."""
        return ~now.answered


class EitherFailure(AbstentionObjective):
    """Lower the effective reliability by whichever failure is closer, weighted by what it costs.

    A wrong answer that is given costs ``cost`` on top of the accuracy that is gone; an abstention costs the accuracy
    alone. The loss is minus a smooth effective reliability, see `decisions.smooth_cost`. Closed: samples whose reward
    no candidate can lower.

    Args:
        threshold: see `AbstentionObjective`.
        cost: c of effective reliability, not negative.

    Raises:
        ValueError: if the cost is negative or not finite, or the threshold is NaN.

    >>> EitherFailure(cost=2.0)
    EitherFailure(threshold=None, cost=2.0)
    """

    def __init__(self, threshold: float | None = None, cost: float = 1.0) -> None:
        super().__init__(threshold)
        if not 0 <= cost < math.inf:
            raise ValueError(f"Expected `cost` finite and not negative but got {cost}; a wrong answer costs it")
        self.cost = cost

    def loss(self, scores: Tensor, correctness: Tensor, threshold: float) -> Tensor:
        """Minus the smooth reward, (B,), in [-1, cost]."""
        return smooth_cost(scores, correctness, threshold, self.cost)

    def open(self, clean: Decision, has_wrong: Tensor, threshold: float) -> Tensor:
        """Where the reward is above the least that can be had."""
        if threshold == math.inf:
            return torch.zeros_like(has_wrong)
        reward = clean.reward(self.cost)
        # Where no wrong answer can be given, abstaining is least; where that cannot be either, nothing is less.
        otherwise = 0.0 if threshold > -math.inf else math.inf
        return reward > torch.where(has_wrong, torch.full_like(reward, -self.cost), otherwise)

    def reached(self, clean: Decision, now: Decision) -> Tensor:
        """A lower reward than on the clean picture."""
        return now.reward(self.cost) < clean.reward(self.cost)


class Goal:
    """An objective on one batch: a loss function for an `Attack`, and what came of it. Costs a forward pass to make.

    Args:
        objective: what is wanted.
        candidates: the batch's.
        images: the clean pictures, (B, C, H, W).

    Attributes:
        open: samples that can be made worse, (B,) bool; the others have a loss of 0 and are left clean.

    Raises:
        ValueError: if the candidates have the wrong shape or range, or a score is NaN; the sample is named.
    """

    def __init__(self, objective: AbstentionObjective, candidates: Candidates, images: Tensor) -> None:
        _check_candidates(candidates, len(images))
        self._objective, self._candidates = objective, candidates
        with torch.no_grad():
            scores = self._scores(images)
            self._clean = decide(scores, candidates.correctness, candidates.threshold, candidates.given)
            has_wrong = best_wrong_and_right(scores, candidates.correctness)[0] > -math.inf
            self.open = objective.open(self._clean, has_wrong, candidates.threshold)

    def __call__(self, images: Tensor) -> Tensor:
        """The loss of each sample, (B,)."""
        candidates = self._candidates
        loss = self._objective.loss(self._scores(images), candidates.correctness, candidates.threshold)
        return torch.where(self.open, loss, 0.0)

    @torch.no_grad()
    def reached(self, images: Tensor) -> Tensor:
        """Whether the aim is reached with these pictures, (B,) bool; a closed sample has none."""
        candidates = self._candidates
        now = decide(self._scores(images), candidates.correctness, candidates.threshold)
        return self.open & self._objective.reached(self._clean, now)

    @torch.no_grad()
    def settle(self, result: AttackResult, attack: Attack, images: Tensor) -> AttackResult:
        """What the attack found, with closed samples put back to clean and success judged by the decisions.

        Args:
            result: of the attack with this goal as its loss.
            attack: the attack.
            images: the clean pictures, (B, C, H, W).

        Returns:
            The result: ``success`` by what would be decided on ``images``; ``steps`` and ``passes`` with the two
            further passes.
        """

        def where_open(found: Tensor, clean: Tensor) -> Tensor:
            return torch.where(self.open.view(-1, *(1,) * (found.dim() - 1)), found, clean.to(found))

        neutral = attack.perturbation.neutral(len(images), image_shape=tuple(images.shape[1:]))
        settled = where_open(result.images, images)
        return dataclasses.replace(
            result,
            images=settled,
            params={name: where_open(value, neutral[name]) for name, value in result.params.items()},
            steps=result.steps + 2,
            passes=result.passes + 2,
            success=self.reached(settled),
        )

    def _scores(self, images: Tensor) -> Tensor:
        scores, expected = self._candidates.score(images), self._candidates.correctness.shape
        if scores.shape != expected:
            raise ValueError(
                f"Expected candidate scores of the shape of `correctness`, {tuple(expected)}, but got "
                f"{tuple(scores.shape)}; score every candidate of every sample, -inf where there is none"
            )
        bad = scores.isnan().any(1) | (scores == -math.inf).all(1)
        if bad.any():
            row = int(bad.nonzero()[0])
            raise ValueError(
                f"Expected a number for some candidate and NaN for none but sample {row} of the batch has "
                f"{scores[row].tolist()}; look for overflow in the module's scores"
            )
        return scores


def _check_candidates(candidates: Candidates, n: int) -> None:
    correctness, given = candidates.correctness, candidates.given
    if correctness.dim() != 2 or len(correctness) != n or correctness.shape[1] == 0:
        raise ValueError(
            f"Expected `correctness` of shape ({n}, K) with K of at least 1 but got {tuple(correctness.shape)}; give "
            "each sample its candidates, a row each"
        )
    outside = (~((correctness >= 0) & (correctness <= 1))).any(1)  # NaN is outside too
    if outside.any():
        row = int(outside.nonzero()[0])
        raise ValueError(
            f"Expected `correctness` in [0, 1] but sample {row} of the batch has {correctness[row].tolist()}; pass "
            "soft accuracies, or 1 and 0"
        )
    if math.isnan(candidates.threshold):
        raise ValueError("Expected the candidates' `threshold` as a number but got nan; -inf answers everything")
    if given is not None and (given.shape != (n,) or not ((given >= 0) & (given < correctness.shape[1])).all()):
        raise ValueError(
            f"Expected `given` as {n} indices below {correctness.shape[1]} but got {given.tolist()}; pass the "
            "candidate that each sample is answered with"
        )
