"""What every objective is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from torch import Tensor, nn

from lit_vlr.confidence import Confidence
from lit_vlr.models.base import ModelFamily
from lit_vlr.types import Batch, VLMOutput

T = TypeVar("T")


class Objective(nn.Module, ABC):
    """Turns a forward pass into one loss a sample; the reduction happens once, in the LightningModule.

    What an objective has to remember between steps it keeps in its state (buffers, `get_extra_state`): that travels in
    checkpoints, so that a resumed run goes on exactly where it was.
    """

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Look at the loaded model, once, before training: token ids, sizes, the confidence that is trained along.

        Raises:
            UserError: if the objective cannot be had with this family or this confidence.
        """

    def trains(self, confidence: Confidence) -> bool:
        """Whether it trains a confidence that has something to learn; a fit is refused where nobody does."""
        return False

    @abstractmethod
    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""


def prepared(found: T | None) -> T:
    """What `Objective.prepare` has noted.

    Raises:
        RuntimeError: if it has not been called.
    """
    if found is None:
        raise RuntimeError("Expected a prepared objective; call `prepare` with the loaded model first")
    return found
