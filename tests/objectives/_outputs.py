"""Forward passes made of random numbers, for objectives that look at logits alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lit_vlr.types import Batch, Sample, VLMOutput

ABSTAINS = 6
"""The token that abstains, of seven."""


class Tokens:
    """What objectives ask a family for: the tokens of an answer."""

    def answer_tokens(self, text: str) -> list[int]:
        return [ABSTAINS, 0]


class Pieces:
    """A vocabulary like Qwen's and LLaMA's, in which "unanswerable" and "uncooked" begin alike."""

    words = ("</s>", "un", "answer", "able", "cooked", "unknown", "unsure")

    def answer_tokens(self, text: str) -> list[int]:
        cut = {"unanswerable": ["un", "answer", "able"], "uncooked": ["un", "cooked"], "": []}
        pieces = cut.get(text.strip(), [text] if text in self.words else ["un", "able"])
        return [*map(self.words.index, pieces), 0]

    def describe(self) -> str:
        return "Pieces"


def output(
    lengths: Sequence[int], vocabulary: int = 7, seed: int = 0, labels: Sequence[int] | None = None
) -> tuple[VLMOutput, Batch]:
    """An answer of each length; labels never abstain unless they are given."""
    n = sum(lengths)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([i for i, length in enumerate(lengths) for _ in range(length)])
    logits = torch.randn(n, vocabulary, generator=generator, dtype=torch.float64).float()
    drawn = torch.randint(vocabulary - 1, (n,), generator=generator)
    empty = torch.zeros(0)
    samples = tuple(Sample(f"u{i}", None, "i", "q") for i in range(len(lengths)))  # type: ignore[arg-type]
    made = VLMOutput(logits, drawn if labels is None else torch.tensor(labels), rows, empty, empty, empty)
    return made, Batch(empty, empty, empty, empty, empty, empty, samples, ("",) * len(lengths))
