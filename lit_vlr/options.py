"""Multiple choice by likelihood: the answer is the letter that the model finds likeliest, and not what it would write.

ScienceQA and SEED are published so. There the letter's token alone is compared, here the letter and the end of the
answer, so that the probability is that of the answer, as everywhere else; the two differ where a model likes to go on
after one letter and not after another.
"""

from __future__ import annotations

from string import ascii_uppercase
from typing import NamedTuple

import torch
from torch import Tensor

from lit_vlr.models.base import ModelFamily
from lit_vlr.tasks import OptionChoice
from lit_vlr.types import Batch, Sample


class Choices(NamedTuple):
    """What was chosen in each row of a batch.

    Attributes:
        letters: of the options chosen.
        probabilities: of these letters as whole answers, end token included, (B,) float64; they need not add up to 1
            over the options, and are what `SequenceProbability` would give had the letter been generated.
    """

    letters: tuple[str, ...]
    probabilities: Tensor


def is_chosen(sample: Sample) -> bool:
    """Whether a sample is answered by the likelihood of its options."""
    metric = None if sample.task is None else sample.task.metric
    return isinstance(metric, OptionChoice) and metric.by == "likelihood" and bool(sample.choices)


@torch.no_grad()
def choose_options(family: ModelFamily, batch: Batch) -> Choices:
    """The option of the lowest cross-entropy, the first of equals, from one pass over prompts and letters.

    Args:
        family: the model.
        batch: samples with choices.
    """
    letters = [ascii_uppercase[: len(sample.choices)] for sample in batch.samples]
    answers = [[family.answer_tokens(letter) for letter in row] for row in letters]
    scores = family.answer_log_probs(batch, answers).double().cpu()  # (B, K), -inf where a row has fewer options
    best = scores.argmax(1)
    chosen = tuple(row[place] for row, place in zip(letters, best.tolist(), strict=True))
    return Choices(chosen, scores.gather(1, best[:, None])[:, 0].exp())
