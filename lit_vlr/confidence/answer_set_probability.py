"""The probability of saying the same thing in any of the ways that were found."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr.confidence.base import Confidence
from lit_vlr.confidence.sequence_probability import sequence_probability
from lit_vlr.functional import normalize_vqa_answer
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.sampling import Sampling
from lit_vlr.types import Batch


def answer_set_probability(generated: Generated, samples: Generated, dialect: VQADialect = "no_skip") -> Tensor:
    r"""Probability summed over the distinct token sequences that normalise to the same answer as the greedy one.

    .. math:: \sum_{s \in S} p(s), \quad S = \{\text{greedy}\} \cup \{\text{sampled } s : n(s) = n(\text{greedy})\}

    "2", "two" and "Two." share the probability of one answer. No two distinct sequences of one pass continue each
    other (each ends in an end token or at the bound on its length), so the sum is a probability: a lower bound on that
    of the answer, which the sequences that were not drawn are missing from.

    Args:
        generated: the greedy answers, B rows.
        samples: K sampled answers a row; those of row i at i · K to (i + 1) · K - 1.
        dialect: of the normalisation, see `lit_vlr.functional.normalize_vqa_answer`.

    Returns:
        (B,) in [0, 1], at least the sequence probability.

    Raises:
        ValueError: if the samples are not equally many a row.

    Reference:
        Kuhn et al., Semantic Uncertainty, arXiv 2302.09664 (a meaning is as probable as its sequences together); equal
        meaning is equality after VQA normalisation here, not entailment.
    """
    n, found = len(generated.texts), len(samples.texts)
    if found == 0 or found % n:
        raise ValueError(f"Expected as many samples for each of {n} answers but got {found}; pass K a row")
    greedy_probability = sequence_probability(generated.token_log_probs, generated.token_mask).tolist()
    probability = sequence_probability(samples.token_log_probs, samples.token_mask).tolist()
    greedy_tokens, tokens = _sequences(generated), _sequences(samples)
    sums = []
    for row, answer in enumerate(generated.texts):
        wanted = normalize_vqa_answer(answer, dialect)
        same = {greedy_tokens[row]: greedy_probability[row]}
        for at in range(row * found // n, (row + 1) * found // n):
            if normalize_vqa_answer(samples.texts[at], dialect) == wanted:
                same.setdefault(tokens[at], probability[at])
        sums.append(sum(same.values()))
    return torch.tensor(sums).clamp(max=1.0)  # rounding


def _sequences(generated: Generated) -> list[tuple[int, ...]]:
    """The tokens of each answer, without padding."""
    lengths = generated.token_mask.sum(1).tolist()
    return [tuple(row[:length]) for row, length in zip(generated.tokens.tolist(), lengths, strict=True)]


class AnswerSetProbability(Confidence):
    """Probability of all sequences found that say the greedy answer, in [0, 1]; one more pass, K times as wide.

    See `answer_set_probability`.

    Args:
        sampling: how the other sequences are looked for. The temperature changes which are found, not what they count.
        dialect: of the normalisation that answers are compared under.

    Raises:
        ValueError: for an unknown dialect.
    """

    def __init__(
        self,
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        dialect: VQADialect = "no_skip",
    ) -> None:
        super().__init__()
        check_choice("dialect", dialect, VQADialect)
        self.sampling = sampling
        self.dialect: VQADialect = dialect

    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        return answer_set_probability(generated, family.sample(batch, max_new_tokens, self.sampling), self.dialect)
