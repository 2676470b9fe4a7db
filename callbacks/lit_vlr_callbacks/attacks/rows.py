"""Evaluating a loss on some rows of a batch, and counting what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import LossFn, per_sample_loss


@runtime_checkable
class SupportsRows(Protocol):
    """A loss that can leave rows of its batch out."""

    def __call__(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W) to losses (B,)."""
        ...

    def rows(self, index: Tensor) -> LossFn | None:
        """The same loss for some rows.

        Args:
            index: which, (n,) int64.

        Returns:
            A loss of n pictures; None where it turns out that the batch cannot be split.
        """
        ...


def narrow(loss_fn: LossFn, index: Tensor) -> LossFn | None:
    """The loss on the rows ``index`` (n,) alone, or None where it can only be had for the whole batch."""
    return loss_fn.rows(index) if isinstance(loss_fn, SupportsRows) else None


@dataclass(frozen=True, eq=False)
class CountedLoss:
    """A loss on the rows that are still searched; notes the model passes of every sample, narrowed or not.

    A loss without `SupportsRows` is evaluated on the whole batch, with the clean pictures in the other rows, whose
    losses are dropped: the result is the same, and the passes of the other rows are counted, for they were made.

    Attributes:
        loss_fn: the loss of the rows ``charged``.
        images: the clean pictures of the rows ``charged``.
        passes: model passes so far of each sample of the whole batch, (B,) int64; shared by all that is narrowed.
        charged: the rows of the whole batch that a call runs on.
        chosen: the positions in ``charged`` that are asked for; None is all.
    """

    loss_fn: LossFn
    images: Tensor
    passes: Tensor
    charged: Tensor
    chosen: Tensor | None = None

    @classmethod
    def of(cls, loss_fn: LossFn, images: Tensor, passes: Tensor | None = None) -> CountedLoss:
        """Count ``loss_fn`` on a batch of pictures (B, C, H, W), on top of ``passes`` (B,) if there are any."""
        every = torch.arange(len(images), device=images.device)
        return cls(loss_fn, images, torch.zeros_like(every) if passes is None else passes, every)

    def __call__(self, images: Tensor) -> Tensor:
        """Losses of the pictures of the rows that are asked for."""
        self.passes[self.charged] += 1
        if self.chosen is None:
            return per_sample_loss(self.loss_fn, images)
        return per_sample_loss(self.loss_fn, self.images.index_copy(0, self.chosen, images))[self.chosen]

    def rows(self, index: Tensor) -> CountedLoss:
        """The same for some of the rows that are asked for, (n,) int64."""
        if self.chosen is not None:
            return replace(self, chosen=self.chosen[index])
        narrowed = narrow(self.loss_fn, index)
        if narrowed is None:
            return replace(self, chosen=index)
        return CountedLoss(narrowed, self.images[index], self.passes, self.charged[index])
