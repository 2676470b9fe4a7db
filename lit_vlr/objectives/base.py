"""What every objective is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lit_vlr.types import Batch, VLMOutput


class Objective(nn.Module, ABC):
    """Turns a forward pass into one loss a sample; the reduction happens once, in the LightningModule."""

    @abstractmethod
    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
