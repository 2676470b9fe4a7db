"""Abstaining in words and abstaining by a score, under one roof."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.confidence.base import Confidence
from lit_vlr.confidence.sequence_probability import SequenceProbability
from lit_vlr.errors import UserError
from lit_vlr.functional import is_abstention
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.types import Batch


class ExplicitAbstention(Confidence):
    """Another score where the model answers, and 0 where it declines in words ("unanswerable"), in [0, 1].

    So whatever is made of confidences (thresholds, curves, effective reliability, attacks on the abstainer) takes both
    ways of abstaining for what they are, and no threshold, not even the one that answers everything, gives an answer
    that is none. Without it "unanswerable" is an answer like any other, which the annotators may have given too.

    Args:
        score: of what is answered, in [0, 1]; None is `SequenceProbability`.

    Raises:
        UserError: if the score has another range.
    """

    def __init__(self, score: Confidence | None = None) -> None:
        super().__init__()
        if score is not None and score.bounds != (0.0, 1.0):
            raise UserError(
                f"Expected `score` in [0, 1], of which 0 can mean declining, but got {score!r}; take another"
            )
        self.score = SequenceProbability() if score is None else score
        self.taught_by = self.score.taught_by

    def __repr__(self) -> str:
        """Its name and the other score's."""
        return f"{type(self).__name__}(score={self.score!r})"

    @property
    def scorer(self) -> Confidence:
        """The other score."""
        return self.score.scorer

    @property
    def learns(self) -> bool:
        """Whether the other score does."""
        return self.score.learns

    def check(self, family: ModelFamily) -> None:
        """Check the other score."""
        self.score.check(family)

    def prepare(self, family: ModelFamily) -> None:
        """Prepare the other score."""
        self.score.prepare(family)

    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        score: Tensor = self.score(generated, family, batch, max_new_tokens)
        return score.masked_fill(torch.tensor(self.declines(generated.texts), device=score.device), 0.0)

    def declines(self, texts: Sequence[str]) -> list[bool]:
        """Whether each says that it does not answer, see `is_abstention`."""
        return [is_abstention(text) for text in texts]

    def candidate_scores(self, family: ModelFamily, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        r"""Of the other score's, less by the log of the share that answers have of the candidates' mass, (B, K).

        Declining has :math:`-\infty`, the log of 0. That share makes the way to answering smooth: where the model
        would decline, its best answer still has a score, which is lower the surer it is of declining.
        """
        scores = self.score.candidate_scores(family, batch, answers)
        declines = torch.zeros_like(scores, dtype=torch.bool)
        for row, candidates in enumerate(answers):
            for k, tokens in enumerate(candidates):
                declines[row, k] = is_abstention(family.answer_text(tokens))
        kept = scores.masked_fill(declines, float("-inf"))
        return kept + kept.logsumexp(1, keepdim=True) - scores.logsumexp(1, keepdim=True)
