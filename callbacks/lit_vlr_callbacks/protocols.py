"""What the callbacks ask of a LightningModule."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

Logits: TypeAlias = Tensor | tuple[Tensor, Tensor]
"""One distribution a sample, (B, K); or several (answer tokens), (N, K), with the sample of each, (N,)."""


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


@runtime_checkable
class SupportsLogits(Protocol):
    """A module whose answers on two pictures can be compared, as TRADES does."""

    def attack_logits(self, images: Tensor, batch: Any) -> Logits:  # noqa: ANN401
        """Unnormalised log-probabilities of what the module may answer.

        Args:
            images: the pictures to judge, (B, C, H, W), float32 in [0, 1]; use these, not the batch's.
            batch: the rest of the batch.

        Returns:
            (B, K), or ((N, K), (N,)) where a sample has several positions, such as the tokens of a teacher-forced
            answer: the logits, and the sample of each. Differentiable to ``images`` and to the weights. No side
            effects.
        """
        ...
