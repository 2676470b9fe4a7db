"""What every model family offers the rest of the package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_vlr.errors import UserError
from lit_vlr.models.sampling import Sampling
from lit_vlr.types import Batch, Sample, VLMOutput

IMAGE = "<image>"
"""Where the picture stands in a prompt, in every family."""


@dataclass(frozen=True)
class Generated:
    """Answers of a batch from one generation pass, and what the scores of each token said.

    The statistics are float32 and 0 after the end token. None needs the (B, T, V) scores to be kept.

    Attributes:
        texts: the answers, stripped.
        token_log_probs: log-probability of each chosen token, (B, T).
        token_mask: True on the tokens of the answer, end token included, (B, T).
        tokens: the chosen tokens, padding after the end token, (B, T).
        token_entropy: entropy of the distribution that each token was chosen from, in nats, (B, T).
        token_margin: probability of the best token minus that of the second best, (B, T).
    """

    texts: tuple[str, ...]
    token_log_probs: Tensor
    token_mask: Tensor
    tokens: Tensor
    token_entropy: Tensor
    token_margin: Tensor


class ModelFamily(nn.Module, ABC):
    """A kind of vision-language model: how its pictures and prompts are laid out, which layers are which.

    Constructing a family is cheap; `load` builds the model. That lets Lightning do it in ``configure_model`` and the
    command line check a configuration without weights.
    """

    @property
    @abstractmethod
    def hidden_size(self) -> int:
        """Width of the language model's hidden states, which projected image features have too."""

    @property
    def is_local(self) -> bool:
        """Whether prompts can be laid out at once; False where tokenizer and configuration are still on a hub."""
        return True

    def tower_of(self, parameter: str) -> str | None:
        """Which part of the model a parameter is of, by its name; learning rates differ by it."""
        return "projector" if "projector" in parameter else None

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
    def sample(self, batch: Batch, max_new_tokens: int, sampling: Sampling) -> Generated:
        """K answers a row, drawn in one pass; answer j of row i is at i · K + j. The batch does not change them."""

    @abstractmethod
    def alternatives(self, batch: Batch, max_new_tokens: int, k: int) -> Generated:
        """K answers a row: each of the K likeliest first tokens, and from there on the greedy one.

        Answer j of row i is at i · K + j; j = 0 is the greedy answer. The batch does not change them.
        """

    @abstractmethod
    def answer_tokens(self, text: str) -> list[int]:
        """An answer as it is trained, end token included."""

    @property
    @abstractmethod
    def ends(self) -> tuple[int, ...]:
        """Every token that ends an answer, of a loaded model; the one that is trained on comes first."""

    @abstractmethod
    def answer_text(self, tokens: Sequence[int]) -> str:
        """Tokens of an answer as `generate` would write them."""

    @abstractmethod
    def answer_log_probs(self, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Log-probability of several answers to each prompt, (B, K), float32, differentiable to ``batch.images``.

        Args:
            batch: pictures and prompts; its own answers are not looked at.
            answers: token ids of each row's answers; each probability is that of exactly these tokens.

        Returns:
            (B, K) with K the most answers that a row has; -inf where a row has fewer.
        """

    @abstractmethod
    def option_tokens(self, prompt: str, options: Sequence[str]) -> list[int]:
        """The token that each option is after a prompt.

        Raises:
            UserError: if an option is not one token there.
        """

    @abstractmethod
    def option_log_probs(self, batch: Batch, prompts: Sequence[str], options: Sequence[str]) -> Tensor:
        """Log-probability that each option follows a prompt on the row's picture, (B, number of options), float32.

        Differentiable to ``batch.images``.

        Args:
            batch: the pictures.
            prompts: the whole text, one a row, with one ``<image>``.
            options: each one token after the prompts.
        """

    def add_adapter(self, name: str) -> None:
        """Add a further adapter, off and ready to be trained; a second call does nothing.

        Raises:
            UserError: if the family cannot have one.
        """
        raise UserError(f"Expected a family that can have another adapter, {name!r}, but {type(self).__name__} cannot")

    def adapter(self, name: str) -> AbstractContextManager[None]:
        """Passes with a further adapter on, which alone has gradients of them; see `add_adapter`."""
        raise RuntimeError(f"Expected the adapter {name!r} but there is none; call `add_adapter` first")

    @abstractmethod
    def image_features(self, images: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Projected image features of each picture in [0, 1], (tokens_i, D)."""

    @abstractmethod
    def save_adapter(self, folder: str) -> None:
        """Write a PEFT folder that ``PeftModel.from_pretrained`` loads."""

    @abstractmethod
    def describe(self) -> str:
        """The model in a few words, for manifests."""
