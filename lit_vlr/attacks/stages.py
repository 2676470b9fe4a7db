"""Stages of a cascade against a `SelectiveVLM`: away from one of the true answers, or towards a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.tasks import answer_limits, score_answer
from lit_vlr.types import Batch, Sample
from lit_vlr_callbacks.attacks import Attack, LossFn, Stage, TargetedLoss
from lit_vlr_callbacks.batch import select_rows
from lit_vlr_callbacks.isolation import IsolatedLoss


class AnswerStage(Stage):
    """Raise the loss of one of the answers that the annotators gave.

    Args:
        attack: the search.
        rank: which answer: 0 is the most common one. Samples with fewer different answers are left out. None takes the
            answer under whose stage the worst was found so far; those stages come first in the cascade, in the order
            of their ranks.
        from_worst: start where the stages before found the worst.

    Raises:
        ValueError: if ``rank`` is negative.
    """

    def __init__(self, attack: Attack, rank: int | None = None, from_worst: bool = False) -> None:
        super().__init__(attack, from_worst=from_worst)
        if rank is not None and rank < 0:
            raise ValueError(f"Expected `rank` of at least 0 but got {rank}; 0 is the most common answer")
        self.rank = rank

    def loss(self, loss_fn: LossFn, winner: Tensor) -> LossFn:
        """Cross-entropy of the chosen answers."""
        answers = [ranked_answers(sample) for sample in _batch(loss_fn).samples]
        ranks = winner.clamp(min=0).tolist() if self.rank is None else [self.rank] * len(answers)
        return asked_for(loss_fn, [said[min(k, len(said) - 1)] for said, k in zip(answers, ranks, strict=True)])

    def applies(self, loss_fn: LossFn, winner: Tensor) -> Tensor:
        """Samples that have an answer of this rank."""
        least = 0 if self.rank is None else self.rank
        return torch.tensor([len(ranked_answers(sample)) > least for sample in _batch(loss_fn).samples])


class TextStage(Stage):
    """Make the model say a text: lower the loss of that text.

    Args:
        attack: the search.
        text: what it is to say.
        from_worst: start where the stages before found the worst.
    """

    def __init__(self, attack: Attack, text: str, from_worst: bool = False) -> None:
        super().__init__(attack, from_worst=from_worst)
        self.text = text

    def loss(self, loss_fn: LossFn, winner: Tensor) -> LossFn:
        """The negative cross-entropy of the text."""
        return TargetedLoss(asked_for(loss_fn, [self.text] * len(_batch(loss_fn))))


def ranked_answers(sample: Sample) -> list[str]:
    """The different answers of the annotators, the most common first; of equals, the one given first.

    Raises:
        UserError: if there are none.

    >>> ranked_answers(Sample("u", None, "i", "q", ("wood", "stone", "stone", "clay")))
    ['stone', 'wood', 'clay']
    """
    if not sample.answers:
        raise UserError(f"Expected annotators' answers to attack but {sample.uid} has none; attack a labelled split")
    return [answer for answer, _ in Counter(sample.answers).most_common()]


def asked_for(loss_fn: LossFn, targets: Sequence[str]) -> IsolatedLoss:
    """The loss of other answers to the same questions, ``targets`` in row order."""
    module, batch = _module(loss_fn), _batch(loss_fn)
    other = module.family.collate(batch.samples, targets).to(batch.input_ids.device)
    assert isinstance(loss_fn, IsolatedLoss)
    return loss_fn.on(other.with_images(batch.images))


def wrongness(loss_fn: LossFn) -> LossFn:
    """One minus the VQA accuracy of the generated answer, (B,), as the loss that judges in an `Ensemble`."""
    return _Wrongness(_module(loss_fn), _batch(loss_fn))


@dataclass(frozen=True, eq=False)
class _Wrongness:
    """See `wrongness`."""

    module: SelectiveVLM
    batch: Batch

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        limit = max(answer_limits(self.batch.samples, self.module.max_new_tokens))
        generated = self.module.family.generate(self.batch.with_images(images), limit)
        pairs = zip(generated.texts, self.batch.samples, strict=True)
        right = [score_answer(text, sample, self.module.dialect) or 0.0 for text, sample in pairs]
        return 1 - torch.tensor(right, device=images.device)

    def rows(self, index: Tensor) -> _Wrongness:
        return _Wrongness(self.module, select_rows(self.batch, index, len(self.batch)))


def _module(loss_fn: LossFn) -> SelectiveVLM:
    if not isinstance(loss_fn, IsolatedLoss) or not isinstance(loss_fn.module, SelectiveVLM):
        raise TypeError(
            f"Expected the loss of a SelectiveVLM but got {type(loss_fn).__name__}; run the attack with `attack_batch` "
            "or RecordAttackedPredictions"
        )
    return loss_fn.module


def _batch(loss_fn: LossFn) -> Batch:
    _module(loss_fn)
    assert isinstance(loss_fn, IsolatedLoss)
    assert isinstance(loss_fn.batch, Batch)
    return loss_fn.batch
