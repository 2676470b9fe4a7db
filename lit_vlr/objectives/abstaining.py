"""What the objectives share that teach a token which abstains."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from lit_vlr.confidence import Confidence
from lit_vlr.errors import UserError
from lit_vlr.models.abstention_token import abstention_token
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.base import Objective, prepared
from lit_vlr.objectives.tokens import mean_by_sample, token_cross_entropy
from lit_vlr.types import Batch, VLMOutput


class AbstainingObjective(Objective):
    """Cross-entropy, but at an answer's first token a loss that lets the model abstain there instead.

    Short answers are decided at their first token. What abstains is an answer in words that are one token, so that a
    model which abstains says so, in words that every score understands (`is_abstention`), and needs no new token. Where
    the annotators themselves say it, it is an answer like any other and is learned by cross-entropy.

    Args:
        abstention: the words; one token to the model. "unanswerable" is several to Qwen and LLaMA, "unknown" is one.
        after: training batches of plain cross-entropy first; both originals train so, since a model that knows nothing
            learns soonest to abstain from everything.

    Raises:
        UserError: if the words are blank, or ``after`` is negative; when training starts, if the words are several
            tokens.
    """

    seen: Tensor
    """Training batches so far."""

    def __init__(self, abstention: str = "unanswerable", after: int = 0) -> None:
        super().__init__()
        if not abstention.strip():
            raise UserError(f"Expected `abstention` to be words but got {abstention!r}; 'unanswerable' is usual")
        if after < 0:
            raise UserError(f"Expected `after` of at least 0 training batches but got {after}")
        self.abstention, self.after = abstention, after
        self.token: int | None = None
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Find the token that abstains.

        Raises:
            UserError: if the words are not one token to this family.
        """
        self.token = abstention_token(family, self.abstention, type(self).__name__)

    @abstractmethod
    def first_loss(self, logits: Tensor, labels: Tensor, rows: Tensor, batch: Batch) -> Tensor:
        """The loss of first tokens that may abstain instead.

        Args:
            logits: float32, (b, V).
            labels: right tokens, none of which abstains, (b,).
            rows: which rows of the batch they are of, (b,).
            batch: the batch.

        Returns:
            (b,).
        """

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        token = prepared(self.token)
        losses = token_cross_entropy(output)
        if self.training:
            self.seen += 1
        if self.seen > self.after:
            # Not the first tokens of all samples: a row that is answered "unanswerable" has nothing to abstain from.
            rows, places = torch.arange(len(batch), device=losses.device), output.first_places(len(batch))
            answers = output.answer_labels[places] != token
            places, rows = places[answers], rows[answers]
            if len(rows):
                logits = output.answer_logits[places].float()
                first = self.first_loss(logits, output.answer_labels[places], rows, batch)
                losses = losses.index_copy(0, places, first)
        return mean_by_sample(losses, output, len(batch))
