"""Whether the model would answer right, read off a teacher-forced pass: no generation while training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.tasks import score_answer
from lit_vlr.types import Batch, Sample, VLMOutput


def teacher_forced_accuracy(output: VLMOutput, batch: Batch, family: ModelFamily, dialect: VQADialect) -> Tensor:
    """Soft accuracy of each row's greedy answer, (B,), float32 in [0, 1].

    The greedy answer follows the target until the likeliest token is another one. Where it never is, the answer is the
    target. Where it ends there, with any of the family's end tokens, the answer is what came before. Where it goes on
    with another token, the answer can only be one of the annotators' if one of theirs begins so: then it is taken for
    the commonest of these, and otherwise nobody said it and it counts as wrong.

    By VQA accuracy that is exact but for two cases: answers that begin alike and differ later, and an answer that
    nobody spelled so but that normalisation makes equal to one that somebody did ("two" for "2"). Other metrics (ANLS,
    relaxed accuracy, options named by their text) give credit to what nobody said: there it is exact where the answer
    follows the target or ends within it, and elsewhere, but for answers that begin alike, a lower bound.

    Args:
        output: of a teacher-forced pass over the batch.
        batch: with the annotators' answers in its samples; a row without any counts as wrong.
        family: whose tokens these are.
        dialect: of VQA accuracy.
    """
    likeliest, labels = output.answer_logits.detach().argmax(-1).tolist(), output.answer_labels.tolist()
    rows = output.answer_rows.tolist()
    said: list[list[int]] = [[] for _ in range(len(batch))]
    target: list[list[int]] = [[] for _ in range(len(batch))]
    for row, token, label in zip(rows, likeliest, labels, strict=True):
        said[row].append(token)
        target[row].append(label)
    accuracies, ends = [], family.ends
    for i, sample in enumerate(batch.samples):
        text = _answer(said[i], target[i], batch.targets[i], sample.answers, family, ends)
        accuracies.append(0.0 if text is None else worth(text, sample, dialect))
    return torch.tensor(accuracies, device=output.answer_logits.device)


def expected_accuracy(family: ModelFamily, batch: Batch, dialect: VQADialect) -> Tensor:
    """Soft accuracy to be expected of an answer that is drawn from the model, (B,), with gradients.

    The sum over the annotators' distinct answers of their probability, end token included, times what they are worth.
    By VQA accuracy every other answer is worth nothing, but for one that normalisation makes equal to one of theirs, or
    that ends with an end token that is not trained on: so it is exact up to these. By metrics that give credit to what
    nobody said (ANLS, relaxed accuracy, options named by their text) it is a lower bound.
    """
    worths: list[dict[tuple[int, ...], float]] = []  # by tokens: two spellings may be one answer to the model
    for sample, target in zip(batch.samples, batch.targets, strict=True):
        texts = dict.fromkeys(sample.answers or (target,))
        worths.append({tuple(family.answer_tokens(text)): worth(text, sample, dialect) for text in texts})
    log_probs = family.answer_log_probs(batch, [list(row) for row in worths])
    most = log_probs.shape[1]
    rewards = log_probs.new_tensor([[*row.values(), *[0.0] * (most - len(row))] for row in worths])
    return (log_probs.exp() * rewards).sum(1)


def worth(text: str, sample: Sample, dialect: VQADialect) -> float:
    """Soft accuracy of an answer to a training question, in [0, 1]; 0 where it cannot be told."""
    # VQA accuracy leaves one annotator out, and needs two; where the task has another metric one answer is enough.
    known = sample.task is not None or len(sample.answers) > 1
    return score_answer(text, sample, dialect) or 0.0 if known else 0.0


def _answer(
    said: Sequence[int],
    target: Sequence[int],
    target_text: str,
    answers: Sequence[str],
    family: ModelFamily,
    ends: Sequence[int],
) -> str | None:
    """The greedy answer, or the annotators' answer that it begins like; None if there is no such answer."""
    parts = next((i for i, (token, label) in enumerate(zip(said, target, strict=True)) if token != label), None)
    if parts is None:
        return target_text
    begun = [*target[:parts], said[parts]]
    if said[parts] in ends:  # what came before is the whole answer
        return family.answer_text(begun[:-1])
    likely = [answer for answer in answers if family.answer_tokens(answer)[: len(begun)] == begun]
    return max(likely, key=likely.count) if likely else None
