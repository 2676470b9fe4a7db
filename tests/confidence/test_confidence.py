"""Confidence scores against plain loops; batch size and padding are tested with the family."""

from __future__ import annotations

import math

import torch

from lit_vlr.confidence import TokenLogProbs, sequence_probability


def test_sequence_probability_multiplies_what_is_not_masked() -> None:
    log_probs = torch.tensor([[-0.1, -0.2, -9.0], [-0.3, -5.0, -7.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    expected = [math.exp(-0.1) * math.exp(-0.2), math.exp(-0.3)]
    torch.testing.assert_close(sequence_probability(log_probs, mask), torch.tensor(expected))


def test_token_log_probs_notes_the_greedy_choice_and_changes_nothing() -> None:
    scores = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    watch = TokenLogProbs()
    assert torch.equal(watch(torch.zeros(3, 1, dtype=torch.long), scores.clone()), scores)
    torch.testing.assert_close(watch.log_probs()[:, 0], scores.log_softmax(-1).max(-1).values)


def test_token_log_probs_of_half_precision_is_float32() -> None:
    watch = TokenLogProbs()
    watch(torch.zeros(1, 1, dtype=torch.long), torch.randn(1, 5).half())
    assert watch.log_probs().dtype == torch.float32
