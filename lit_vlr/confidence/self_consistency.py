"""How often further answers say the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_vlr.confidence.base import Confidence
from lit_vlr.functional import normalize_vqa_answer
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.sampling import Sampling
from lit_vlr.types import Batch


def agreement(answers: Sequence[str], others: Sequence[Sequence[str]], dialect: VQADialect = "no_skip") -> Tensor:
    """Share of the other answers that equal the answer once both are normalised.

    Convention: of K others it takes K + 1 values, so ties are many; the metrics interpolate them.

    Args:
        answers: the answers judged, B.
        others: further answers to the same questions, (B, K) with K >= 1.
        dialect: of the normalisation, see `lit_vlr.functional.normalize_vqa_answer`.

    Returns:
        (B,) in [0, 1].

    Raises:
        ValueError: if the lengths differ, or a question has no further answer.

    Reference:
        Wang et al., Self-Consistency Improves Chain of Thought Reasoning, arXiv 2203.11171 (agreement of
        samples, which there chooses the answer); here with the greedy answer, which stays the answer.

    >>> agreement(["Two"], [["2", "two.", "three", "dogs"]])
    tensor([0.5000])
    """
    if len(answers) != len(others) or not all(others):
        raise ValueError(
            f"Expected further answers to each of {len(answers)} questions but got {[len(o) for o in others]}; pass at "
            "least one for each"
        )
    shares = []
    for answer, said in zip(answers, others, strict=True):
        wanted = normalize_vqa_answer(answer, dialect)
        shares.append(sum(normalize_vqa_answer(other, dialect) == wanted for other in said) / len(said))
    return torch.tensor(shares)


class SelfConsistency(Confidence):
    """Share of K sampled answers that agree with the greedy one, in [0, 1]; one more pass, K times as wide.

    Args:
        sampling: how they are drawn.
        dialect: of the normalisation that answers are compared under.

    Raises:
        ValueError: for an unknown dialect.

    Reference:
        See `agreement`.
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
        k = self.sampling.samples
        texts = family.sample(batch, max_new_tokens, self.sampling).texts
        rows = [texts[start : start + k] for start in range(0, len(texts), k)]
        return agreement(generated.texts, rows, self.dialect)
