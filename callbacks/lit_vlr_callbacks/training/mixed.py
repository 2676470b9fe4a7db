"""Some rows attacked, the others clean."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.batch import select_rows
from lit_vlr_callbacks.isolation import attack_batch
from lit_vlr_callbacks.training.base import Mode, Turn


class Mixed(Mode):
    """Replace the pictures of some rows by attacked ones.

    The rows are drawn anew for each batch, and a share that is not a whole number of rows is rounded up or down at
    random, right on average. They alone are attacked, so that mixing costs less than `Standard`; the whole batch is
    where it cannot be split (see `lit_vlr_callbacks.batch.select_rows`).

    Args:
        adversarial_fraction: share of rows attacked.

    Raises:
        ValueError: if the share is outside [0, 1].

    Reference:
        Kurakin et al., arXiv 1611.01236, section 3.
    """

    name = "mixed"

    def __init__(self, adversarial_fraction: float = 0.5) -> None:
        if not 0 <= adversarial_fraction <= 1:
            raise ValueError(f"Expected `adversarial_fraction` in [0, 1] but got {adversarial_fraction}")
        self.adversarial_fraction = adversarial_fraction

    def before_step(self, turn: Turn) -> Tensor | None:
        """Attack some of the batch."""
        rows = self._draw_rows(len(turn.images), turn.generator).to(turn.images.device)
        chosen = rows.nonzero()[:, 0]
        if not len(chosen):
            return None
        try:
            own = getattr(turn.pl_module, "select_rows", None)
            part = select_rows(turn.batch, chosen, len(rows)) if own is None else own(turn.batch, chosen)
        except ValueError:
            result = attack_batch(turn.pl_module, turn.batch, turn.attack, turn.image_key, turn.generator)
            attacked, losses = result.images[chosen], result.loss[chosen]
        else:
            result = attack_batch(turn.pl_module, part, turn.attack, turn.image_key, turn.generator)
            attacked, losses = result.images, result.loss
        turn.write(turn.images.index_copy(0, chosen, attacked))
        return losses

    def _draw_rows(self, n: int, generator: torch.Generator) -> Tensor:
        """Which of n rows to attack, (n,) bool."""
        u = float(torch.rand((), generator=generator))
        count = int(self.adversarial_fraction * n + u)
        rows = torch.zeros(n, dtype=torch.bool)
        rows[torch.randperm(n, generator=generator)[:count]] = True
        return rows
