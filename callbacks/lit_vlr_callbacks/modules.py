"""Losses of modules, for attacks that need more than the module and the batch at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from lit_vlr_callbacks.attacks.base import LossFn
from lit_vlr_callbacks.batch import ordinary, read_images
from lit_vlr_callbacks.isolation import IsolatedLoss, casts_batches, isolated_loss, require_attackable


class SurrogateLoss:
    """Another module's loss on the same batch, for `Transfer` or the view of a `Stage`.

    The module is put in eval mode, and its parameters are frozen, for good: it is a means, not what is trained.

    Args:
        module: the surrogate, with ``attack_loss(images, batch)``, on the victim's device.

    Raises:
        TypeError: if it has no ``attack_loss``.
    """

    def __init__(self, module: LightningModule) -> None:
        self.module = require_attackable(module)
        module.eval().requires_grad_(False)

    def __call__(self, loss_fn: LossFn) -> LossFn:
        """The surrogate's loss instead of the victim's.

        Raises:
            TypeError: if ``loss_fn`` is not the loss of a module.
        """
        if not isinstance(loss_fn, IsolatedLoss):
            raise TypeError(
                f"Expected the loss of a LightningModule but got {type(loss_fn).__name__}; run the attack with "
                "`attack_batch`, and inside of an Ensemble give the surrogate as the view of its Stage"
            )
        return IsolatedLoss(self.module, loss_fn.batch, loss_fn.size, loss_fn.dtype)


class IsolatedBatches:
    """The loss and the pictures of every batch of a loader, for `Universal.fit`; each time anew.

    The module is left as it was, as by `isolated_loss`.

    Args:
        pl_module: a module with ``attack_loss(images, batch)``.
        loader: the batches, on the module's device.
        image_key: name or index of the pictures in a batch.
    """

    def __init__(self, pl_module: LightningModule, loader: Iterable[Any], image_key: int | str = "images") -> None:
        require_attackable(pl_module)
        self.pl_module = pl_module
        self.loader = loader
        self.image_key = image_key

    def __iter__(self) -> Iterator[tuple[LossFn, Tensor]]:
        """One loss and its pictures a batch."""
        for batch in self.loader:
            images = read_images(batch, self.image_key, casts_batches(self.pl_module))
            with isolated_loss(
                self.pl_module, batch, images.device, image_key=self.image_key, size=len(images)
            ) as loss_fn:
                yield loss_fn, ordinary(images)
