"""What every confidence is."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from lit_vlr.errors import UserError
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.types import Batch


class Confidence(nn.Module, ABC):
    """Scores greedy answers; higher is surer. The score decides on abstention and never changes an answer.

    A score belongs to its row: batch size, padding and the other rows do not change it. So whatever is random is seeded
    by the sample's uid, and a threshold fitted on one batch size holds on another.

    Subclasses keep each constructor argument under its own name: ``repr`` then says how a score was made, which is what
    checkpoints and manifests record.

    Attributes:
        bounds: the lowest and the highest value that the score can take.
        taught_by: the file under ``configs/objective`` of an objective that trains it, where it `learns`.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    taught_by: str = "selector"

    def check(self, family: ModelFamily) -> None:
        """Raise a `UserError` if this score cannot be had from a family; before hours are spent on training it.

        Needs no weights.
        """

    def prepare(self, family: ModelFamily) -> None:
        """Make what depends on the loaded model, for scores that are learned. A second call does nothing."""

    @property
    def scorer(self) -> Confidence:
        """What scores the answers that are given, and is what an objective trains: itself, or what it wraps."""
        return self

    def declines(self, texts: Sequence[str]) -> list[bool]:
        """Which answers are none, so that they are abstentions whatever the threshold."""
        return [False] * len(texts)

    @property
    def learns(self) -> bool:
        """Whether it is noise until an objective has trained it."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def trains_in_family(self, parameter: str) -> bool:
        """Whether a parameter of the model, by its name, is for this score alone; it has the confidence's rate."""
        return False

    @abstractmethod
    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,).

        Args:
            generated: the greedy answers of the batch.
            family: the model, for scores that take further passes.
            batch: what was asked; its ``images`` may be attacked ones, and further passes see those.
            max_new_tokens: bound on further answers.
        """

    def candidate_scores(self, family: ModelFamily, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """A differentiable twin, for attacks on abstention: how sure the model would be of each of several answers.

        Args:
            family: the model.
            batch: the questions, on the pictures to judge.
            answers: token ids of each row's answers.

        Returns:
            (B, K): the logarithm of the confidence for the answer that the model would give, which is the highest, and
            less for all others; -inf where a row has fewer answers.

        Raises:
            UserError: if the score has no such twin.
        """
        raise UserError(
            f"Expected a confidence that says with gradients how sure an answer would be, but {self!r} does not; "
            "attack without an `objective`, or test with --config configs/confidence/sequence_probability.yaml"
        )

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        names = inspect.signature(type(self).__init__).parameters
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names if name in self.__dict__)


class OnePassConfidence(Confidence):
    """A score of the greedy pass alone."""

    @abstractmethod
    def score(self, generated: Generated) -> Tensor:
        """The confidence of each answer, (B,)."""

    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        return self.score(generated)


def scores_of_candidates(given: Tensor, likely: Tensor) -> Tensor:
    """`Confidence.candidate_scores` of a score that is about the answer which would be given, (B, K).

    Args:
        given: log of the confidence in the likeliest answer, (B,).
        likely: log-probabilities of all, (B, K); the others have less by as much as they are less likely.
    """
    return given[:, None] + likely - likely.amax(1, keepdim=True)


def check_statistic(name: str, statistic: Tensor, token_mask: Tensor) -> None:
    """Check a statistic against the mask.

    Raises:
        ValueError: if the shapes differ, or an answer has no token, of which every score is undefined or 1.
    """
    if statistic.dim() != 2 or statistic.shape != token_mask.shape:
        raise ValueError(
            f"Expected `{name}` and `token_mask` of one shape (B, T) but got {tuple(statistic.shape)} and "
            f"{tuple(token_mask.shape)}; pass both from one `Generated`"
        )
    empty = (~token_mask.any(1)).nonzero()
    if empty.numel():
        raise ValueError(
            f"Expected at least one token an answer but row {int(empty[0])} of `token_mask` has none; the end token "
            "counts as one"
        )
