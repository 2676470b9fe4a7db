"""Some rows attacked, the others clean."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.isolation import attack_batch
from lit_vlr_callbacks.training.base import Mode, Turn


class Mixed(Mode):
    """Replace the pictures of some rows by attacked ones.

    The rows are drawn anew for each batch, and a share that is not a whole number of rows is rounded up or down at
    random, right on average. The attack runs on the whole batch, since the other entries of a batch cannot be split in
    general: mixing costs as much as `Standard`.

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

    def before_step(self, turn: Turn) -> Tensor:
        """Attack the batch, keep some of it."""
        result = attack_batch(turn.pl_module, turn.batch, turn.attack, turn.image_key, turn.generator)
        rows = self._draw_rows(len(turn.images), turn.generator).to(turn.images.device)
        mixed = torch.where(rows.view(-1, 1, 1, 1), result.images, turn.images)
        turn.write(mixed)
        return result.loss

    def _draw_rows(self, n: int, generator: torch.Generator) -> Tensor:
        """Which of n rows to attack, (n,) bool."""
        u = float(torch.rand((), generator=generator))
        count = int(self.adversarial_fraction * n + u)
        rows = torch.zeros(n, dtype=torch.bool)
        rows[torch.randperm(n, generator=generator)[:count]] = True
        return rows
