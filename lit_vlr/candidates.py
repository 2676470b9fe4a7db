"""What a vision-language model might answer instead: the candidates that attacks on its abstention move about.

A surrogate, and an honest one as far as it goes: the score of each candidate is exactly the confidence that the model
would have in it, but the model may come to say something that is not among them. So the success that an attack reports
is a guess, and `RecordAttackedPredictions` answers the attacked pictures and judges what was really said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.confidence import Confidence
from lit_vlr.errors import UserError
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.tasks import score_answer
from lit_vlr.types import Batch, Sample
from lit_vlr_callbacks import Candidates

ALTERNATIVES, ANNOTATED = 8, 5
"""Candidates a sample: of the model's own, its answer included; and of the annotators'."""
FIXED = ("unanswerable",)
"""Candidates of every sample."""


def answer_candidates(
    family: ModelFamily,
    confidence: Confidence,
    batch: Batch,
    max_new_tokens: int,
    dialect: VQADialect,
    threshold: float,
) -> Candidates:
    """Candidates of a batch: the model's answer and its alternatives, what the annotators said, "unanswerable".

    The first is the answer that the model gives. Others are distinct as tokens, cut off where generation would be. None
    depends on the other rows of the batch. Scores are the confidence's own, see `Confidence.candidate_scores`.

    Costs a generation of `ALTERNATIVES` answers a row once, and one pass each time that pictures are scored, with the
    picture and the prompt read once a row; see `ModelFamily.answer_log_probs`.

    Args:
        family: the model.
        confidence: what the threshold is about.
        batch: the questions, on their clean pictures.
        max_new_tokens: bound on an answer.
        dialect: of VQA accuracy.
        threshold: the least confidence that is answered.

    Raises:
        UserError: if the confidence has no differentiable twin, or a sample has no annotators' answers.

    Reference:
        Schlarmann et al., Robust CLIP, arXiv 2402.12336 (attacks on the five most common answers); the model's own
        alternatives, and the threshold, are ours.
    """
    if type(confidence).candidate_scores is Confidence.candidate_scores:
        confidence.candidate_scores(family, batch, [])  # says so before anything is generated
    generated = family.alternatives(batch, max_new_tokens, ALTERNATIVES)
    lengths = generated.token_mask.sum(1).tolist()
    own = [tuple(tokens[:length]) for tokens, length in zip(generated.tokens.tolist(), lengths, strict=True)]
    answers, correctness = [], []
    for row, sample in enumerate(batch.samples):
        if not sample.answers:
            raise UserError(f"Expected annotators' answers but {sample.uid} has none; attack a split with labels")
        said = [tuple(family.answer_tokens(text)[:max_new_tokens]) for text in _common(sample)]
        distinct = list(dict.fromkeys([*own[row * ALTERNATIVES : (row + 1) * ALTERNATIVES], *said]))
        answers.append(distinct)
        correctness.append([_worth(family.answer_text(tokens), sample, dialect) for tokens in distinct])

    def score(images: Tensor) -> Tensor:
        return confidence.candidate_scores(family, batch.with_images(images), answers)

    device = batch.prompt_ids.device
    return Candidates(
        score=score,
        correctness=_padded(correctness).to(device),
        threshold=_log(threshold),
        given=torch.zeros(len(batch), dtype=torch.long, device=device),
    )


def _worth(text: str, sample: Sample, dialect: VQADialect) -> float:
    worth = score_answer(text, sample, dialect)
    if worth is None:
        raise UserError(f"Expected answers that can be scored one by one but those to {sample.uid} cannot")
    return worth


def _common(sample: Sample) -> list[str]:
    """The annotators' most common answers, and the fixed ones."""
    return [*(answer for answer, _ in Counter(sample.answers).most_common(ANNOTATED)), *FIXED]


def _padded(rows: Sequence[Sequence[float]]) -> Tensor:
    """Rows of different length as (B, K), 0 behind their ends."""
    k = max(map(len, rows))
    return torch.tensor([[*row, *[0.0] * (k - len(row))] for row in rows])


def _log(probability: float) -> float:
    """The logarithm; -inf of a threshold that everything passes."""
    return math.log(probability) if probability > 0 else -math.inf
