"""What the callbacks ask of a LightningModule."""

from __future__ import annotations

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
