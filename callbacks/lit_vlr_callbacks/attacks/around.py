"""What attacks that run another one have in common."""

from __future__ import annotations

import copy
from typing import Self

from lit_vlr_callbacks.attacks.base import Attack


class Around(Attack):
    """An attack that does something about another one's search.

    Args:
        search: the other one.
        success_loss: a sample counts as broken when its loss exceeds this.
    """

    def __init__(self, search: Attack, success_loss: float | None) -> None:
        super().__init__(search.perturbation, success_loss)
        self.search = search

    def scaled(self, fraction: float) -> Self:
        """The same with a scaled search."""
        other = super().scaled(fraction)
        other.search = self.search.scaled(fraction)
        return other

    def one_step(self) -> Attack | None:
        """The same with one step of the search; None where that has no steps."""
        search = self.search.one_step()
        if search is None:
            return None
        other = copy.copy(self)
        other.search = search
        return other
