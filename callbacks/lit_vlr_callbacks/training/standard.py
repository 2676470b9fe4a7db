"""Every row attacked: min_θ E max_δ L."""

from __future__ import annotations

from torch import Tensor

from lit_vlr_callbacks.isolation import attack_batch
from lit_vlr_callbacks.training.base import Mode, Turn


class Standard(Mode):
    """Replace all pictures of the batch by attacked ones.

    Reference:
        Madry et al., arXiv 1706.06083, section 2.
    """

    name = "standard"

    def before_step(self, turn: Turn) -> Tensor:
        """Attack the batch."""
        result = attack_batch(turn.pl_module, turn.batch, turn.attack, turn.image_key, turn.generator)
        turn.write(result.images)
        return result.loss
