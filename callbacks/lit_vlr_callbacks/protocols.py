"""What the callbacks ask of a LightningModule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class SupportsAttack(Protocol):
    """A module that can be attacked: it says how badly it does on pictures it did not choose."""

    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:  # noqa: ANN401 - batches have no common type
        """Loss of each sample, to be raised by an attack.

        Args:
            images: the pictures to judge, (B, C, H, W), float32 in [0, 1]; use these, not the batch's.
            batch: the rest of the batch.

        Returns:
            (B,), higher is worse for the model, differentiable with respect to ``images``. No side effects: no
            logging, no metric updates, no optimiser steps.
        """
        ...


@dataclass(frozen=True, eq=False)
class Candidates:
    """The answers that a module may give to a batch, as an attack on its abstention needs them.

    The module answers with the candidate of the highest score, and abstains where that score is below ``threshold``.
    A classifier's candidates are its classes, which is exact. A generator's are a choice among all texts: what is found
    with them is a surrogate, and the attacked pictures have to be answered to know what came of it.

    Attributes:
        score: pictures (B, C, H, W) to scores (B, K), differentiable. The confidence in each candidate, or anything
            that grows with it: take log-probabilities rather than probabilities, whose gradients vanish where the
            module is sure. -inf where a row has fewer candidates.
        correctness: how right each candidate is, (B, K), in [0, 1]; 0 is wrong.
        threshold: the least score that is answered, on the scale of the scores; -inf answers everything, +inf nothing.
        given: index of the candidate that the module gives for the clean pictures, (B,); None is the highest score.
    """

    score: Callable[[Tensor], Tensor]
    correctness: Tensor
    threshold: float
    given: Tensor | None = None


@runtime_checkable
class SupportsAbstentionAttack(Protocol):
    """A module that abstains, and whose abstention can be attacked: it says what it might answer, and how surely.

    A classifier of ten classes that abstains below a probability:

    >>> import math, torch
    >>> class Abstainer:
    ...     threshold = 0.9
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(10))
    ...
    ...     def attack_candidates(self, images, batch, threshold=None):
    ...         least = self.threshold if threshold is None else threshold
    ...         right = torch.nn.functional.one_hot(batch["labels"], 10).float()
    ...         log = math.log(least) if least > 0 else -math.inf
    ...         return Candidates(lambda x: self.net(x).log_softmax(1), right, log)
    >>> isinstance(Abstainer(), SupportsAbstentionAttack)
    True
    >>> pictures = torch.rand(2, 3, 8, 8)
    >>> Abstainer().attack_candidates(pictures, {"labels": torch.tensor([3, 1])}).score(pictures).shape
    torch.Size([2, 10])
    """

    def attack_candidates(self, images: Tensor, batch: Any, threshold: float | None = None) -> Candidates:  # noqa: ANN401
        """What the module may answer; called once an attack, with the clean pictures.

        Args:
            images: the clean pictures, (B, C, H, W), float32 in [0, 1].
            batch: the rest of the batch.
            threshold: the least confidence that is answered, on the scale of the module's own confidence; None is
                the threshold that the module has.

        Returns:
            Candidates of each sample, with the threshold brought to the scale of their scores. No side effects.
        """
        ...
