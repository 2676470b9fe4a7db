"""The streaming statistics, the draws, and what counts as the end of an answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lit_vlr.models import Sampling
from lit_vlr.models.sampling import row_seed
from lit_vlr.models.token_statistics import TokenStatistics
from tests._tiny import batch, family
from tests.oracles import confidence as oracle

PROMPT = torch.zeros(3, 1, dtype=torch.long)


def random_scores(*shape: int, seed: int = 0) -> torch.Tensor:
    return 4 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def watch(*steps: torch.Tensor, **kwargs):
    made = TokenStatistics(**kwargs)
    returned = [made(PROMPT[: len(step)], step.clone()) for step in steps]
    return made.steps(), returned


def test_statistics_equal_plain_loops_and_greedy_scores_are_left_alone() -> None:
    steps = [random_scores(3, 7, seed=i) for i in range(4)]
    found, returned = watch(*steps)
    assert all(torch.equal(a, b) for a, b in zip(returned, steps, strict=True))
    for t, scores in enumerate(steps):
        for b in range(3):
            p = oracle.softmax(scores[b].tolist())
            best, second = sorted(p, reverse=True)[:2]
            assert math.isclose(found.log_probs[b, t], math.log(best), abs_tol=1e-6)
            assert math.isclose(found.entropy[b, t], oracle.entropy(p), abs_tol=1e-6)
            assert math.isclose(found.margin[b, t], best - second, abs_tol=1e-6)


@pytest.mark.parametrize("shift", [-1024.0, -1.0, 64.0, 1024.0])
def test_adding_a_constant_to_the_scores_changes_nothing(shift: float) -> None:
    # Multiples of 1/64 are exact in float32 at these sizes, so that the shift itself loses nothing. What is called an
    # entropy in some code, -Σ p · logit, would be off by the shift.
    scores = (random_scores(3, 50) * 64).round() / 64
    plain, shifted = watch(scores)[0], watch(scores + shift)[0]
    assert torch.equal(shifted.entropy, plain.entropy)
    assert torch.equal(shifted.margin, plain.margin)
    # Recorded as score minus normaliser, so to the float32 resolution of the scores.
    torch.testing.assert_close(shifted.log_probs, plain.log_probs, atol=abs(shift) * 2**-23 + 1e-6, rtol=0)


def test_entropy_of_uniform_and_certain_distributions() -> None:
    certain = torch.tensor([[0.0, -float("inf"), -float("inf"), -float("inf")]])
    found, _ = watch(torch.zeros(1, 4), certain)
    torch.testing.assert_close(found.entropy, torch.tensor([[math.log(4), 0.0]]))
    torch.testing.assert_close(found.margin, torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_statistics_of_half_precision_scores_are_those_of_their_float32_values(dtype: torch.dtype) -> None:
    scores = random_scores(3, 1000).to(dtype)
    half, full = watch(scores)[0], watch(scores.float())[0]
    assert all(a.dtype == torch.float32 and torch.equal(a, b) for a, b in zip(half, full, strict=True))


def test_a_draw_chooses_by_the_cumulative_distribution_and_leaves_that_token_only() -> None:
    scores = torch.tensor([[0.2, 0.5, 0.3]]).log()
    for uniform, token in ((0.0, 0), (0.19, 0), (0.21, 1), (0.69, 1), (0.71, 2), (1 - 2**-53, 2)):
        found, (returned,) = watch(scores, draws=torch.tensor([[uniform]], dtype=torch.float64))
        assert returned.isfinite().nonzero().tolist() == [[0, token]]
        torch.testing.assert_close(found.log_probs[0, 0], scores[0, token])


def test_a_draw_never_chooses_a_forbidden_token() -> None:
    scores = torch.tensor([[-float("inf"), 0.0, -float("inf"), 0.0, -float("inf")]])
    for uniform, token in ((0.0, 1), (0.5, 3), (1 - 2**-53, 3)):
        _, (returned,) = watch(scores, draws=torch.tensor([[uniform]], dtype=torch.float64))
        assert int(returned.argmax()) == token


def test_draws_follow_the_distribution_at_the_temperature() -> None:
    n, temperature = 20_000, 0.5
    scores = torch.tensor([0.0, 1.0, 0.5, -1.0])
    draws = Sampling(samples=n).draws(["scenes/test/0"], 1)
    found, (returned,) = watch(scores.expand(n, 4), draws=draws, temperature=temperature)
    share = np.bincount(returned.argmax(1).numpy(), minlength=4) / n
    expected = oracle.softmax([s / temperature for s in scores.tolist()])
    assert np.abs(share - expected).max() < 4 * 0.5 / math.sqrt(n)  # four standard errors of a share
    # The statistics are the model's own, not those of the temperature.
    own = scores.log_softmax(0)
    torch.testing.assert_close(found.log_probs[:, 0], own[returned.argmax(1)])


def test_draws_belong_to_the_uid_and_not_to_the_batch() -> None:
    sampling = Sampling(samples=3, seed=4)
    together = sampling.draws(["a", "b", "c"], 5)
    for row, uid in enumerate("abc"):
        assert torch.equal(sampling.draws([uid], 5), together[3 * row : 3 * row + 3])
    assert together.unique().numel() == together.numel()
    assert not torch.equal(together, Sampling(samples=3, seed=5).draws(["a", "b", "c"], 5))
    # More tokens or samples continue the draws instead of changing them.
    assert torch.equal(sampling.draws(["a"], 9)[:, :5], together[:3])
    assert torch.equal(Sampling(samples=2, seed=4).draws(["a"], 5), together[:2])


def test_row_seeds_differ_in_every_part() -> None:
    seeds = [row_seed(s, u, d) for s in range(3) for u in ("x", "y", "1/x") for d in range(3)]
    assert len(set(seeds)) == 27
    assert all(0 <= s < 2**63 for s in seeds)


def test_sampling_leaves_the_global_random_state_alone() -> None:
    made = family(bits=16, lora=None).eval()
    before = torch.get_rng_state()
    made.sample(batch(made, 2), 3, Sampling(samples=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_end_token_ends_an_answer_and_nothing_behind_it_counts() -> None:
    made = family(bits=16, lora=None).eval()
    rows = batch(made, 8)
    before = made.generate(rows, 6)
    assert made.ends == (made.end,)
    # Let the second token of the first answer be another end token, as chat models have.
    second = int(before.tokens[0, 1])
    made.base.generation_config.eos_token_id = [made.tokenizer.eos_token_id, second]
    assert made.ends == (made.end, second)
    after = made.generate(rows, 6)
    assert after.token_mask[0].sum() == 2
    for statistic in (after.token_log_probs, after.token_entropy, after.token_margin):
        assert (statistic[~after.token_mask] == 0).all()
        assert (statistic[:, 0] != 0).all()
    assert (after.tokens[~after.token_mask] == made.tokenizer.pad_token_id).all()
    torch.testing.assert_close(after.token_log_probs[0, :2], before.token_log_probs[0, :2])
