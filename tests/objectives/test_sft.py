"""SFT against a plain loop."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lit_vlr.objectives import SFT
from lit_vlr.types import Batch, VLMOutput


def output(lengths: list[int], vocabulary: int = 7) -> tuple[VLMOutput, Batch]:
    n = sum(lengths)
    generator = torch.Generator().manual_seed(0)
    rows = torch.tensor([i for i, length in enumerate(lengths) for _ in range(length)])
    logits = torch.randn(n, vocabulary, generator=generator)
    labels = torch.randint(vocabulary, (n,), generator=generator)
    empty = torch.zeros(0)
    made = VLMOutput(logits, labels, rows, empty, empty, empty)
    return made, Batch(empty, empty, empty, empty, empty, empty, ("",) * len(lengths), ("",) * len(lengths))  # type: ignore[arg-type]


def test_each_sample_is_the_mean_over_its_own_tokens() -> None:
    made, batch = output([1, 3, 2])
    loss = SFT()(made, batch)
    start = 0
    for i, length in enumerate([1, 3, 2]):
        tokens = [
            -F.log_softmax(made.answer_logits[t], -1)[made.answer_labels[t]] for t in range(start, start + length)
        ]
        torch.testing.assert_close(loss[i], torch.stack(tokens).mean())
        start += length


def test_half_precision_logits_are_summed_in_float32() -> None:
    made, batch = output([2])
    made.answer_logits.data = made.answer_logits.half().data
    assert SFT()(made, batch).dtype == torch.float32
