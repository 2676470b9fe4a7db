"""SFT against a plain loop."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lit_vlr.objectives import SFT
from tests.objectives._outputs import output


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
