"""What every model family offers the rest of the package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_vlr.types import Batch, Sample, VLMOutput


@dataclass(frozen=True)
class Generated:
    """Answers of a batch from one greedy generation.

    Attributes:
        texts: the answers, stripped.
        token_log_probs: log-probability of each chosen token, 0 after the end token, (B, T).
        token_mask: True on the tokens of the answer, end token included, (B, T).
    """

    texts: tuple[str, ...]
    token_log_probs: Tensor
    token_mask: Tensor


class ModelFamily(nn.Module, ABC):
    """A kind of vision-language model: how its pictures and prompts are laid out, which layers are which.

    Constructing a family is cheap; `load` builds the model. That lets Lightning do it in ``configure_model`` and the
    command line check a configuration without weights.
    """

    @abstractmethod
    def load(self, device: torch.device) -> None:
        """Load, quantise, add adapters. A second call does nothing."""

    @property
    @abstractmethod
    def lora_targets(self) -> tuple[str, ...]:
        """Regular expressions of the layers that get adapters."""

    @property
    @abstractmethod
    def quantization_skip(self) -> tuple[str, ...]:
        """Regular expressions of the modules that are never quantised."""

    @abstractmethod
    def collate(self, samples: Sequence[Sample], targets: Sequence[str]) -> Batch:
        """Make a batch; ``targets`` are the answers to be trained on."""

    @abstractmethod
    def forward(self, batch: Batch) -> VLMOutput:
        """Teacher-forced pass; differentiable to ``batch.images``."""

    @abstractmethod
    def generate(self, batch: Batch, max_new_tokens: int) -> Generated:
        """Greedy answers."""

    @abstractmethod
    def image_features(self, images: Tensor) -> Tensor:
        """Projected image features of pictures (B, 3, H, W) in [0, 1]: (B, tokens, D)."""

    @abstractmethod
    def save_adapter(self, folder: str) -> None:
        """Write a PEFT folder that ``PeftModel.from_pretrained`` loads."""

    @abstractmethod
    def describe(self) -> str:
        """The model in a few words, for manifests."""
