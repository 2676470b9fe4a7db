"""Training orders: permutations that are pure functions of (seed, batches completed), each with its own purpose."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
import torch

from lit_vlr.data.order import BucketedSampler, ResumableSampler, TrainingOrder, WindowedSampler
from lit_vlr.errors import UserError

N, BATCH, SEED = 103, 4, 3
COSTS = [(place * 37) % 101 / 10 for place in range(N)]
BLOCKS = [10, 3, 20, 7, 30, 1, 12, 20]
BATCHES = 26  # an epoch: 25 full ones and one of three

MADE: dict[str, Callable[[int], TrainingOrder]] = {
    "resumable": lambda done: ResumableSampler(N, BATCH, SEED, lambda: done),
    "bucketed": lambda done: BucketedSampler(N, BATCH, SEED, lambda: done, COSTS.__getitem__, pool=5),
    "windowed": lambda done: WindowedSampler(BLOCKS, BATCH, SEED, lambda: done, window=3),
}
EACH = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@EACH
def test_each_epoch_is_another_permutation(make: Callable[[int], TrainingOrder]) -> None:
    epochs = [list(make(BATCHES * epoch)) for epoch in range(4)]
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 4
    assert len(make(0)) == N


@EACH
def test_any_batch_can_be_gone_on_from(make: Callable[[int], TrainingOrder]) -> None:
    for epoch in (0, 2):
        whole = list(make(BATCHES * epoch))
        for batches in range(BATCHES):
            assert list(make(BATCHES * epoch + batches)) == whole[BATCH * batches :]


@EACH
def test_the_global_stream_is_left_alone(make: Callable[[int], TrainingOrder]) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = list(make(5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert list(make(5)) == first


def test_batches_of_one_bucket_cost_the_same() -> None:
    def spread(order: list[int]) -> float:
        batches = [order[i : i + BATCH] for i in range(0, N - BATCH, BATCH)]
        return sum(max(COSTS[p] for p in batch) - min(COSTS[p] for p in batch) for batch in batches) / len(batches)

    bucketed, plain = list(MADE["bucketed"](0)), list(MADE["resumable"](0))
    assert spread(bucketed) < spread(plain) / 3
    means = [sum(COSTS[p] for p in bucketed[i : i + BATCH]) for i in range(0, N - BATCH, BATCH)]
    assert means != sorted(means)  # batches are mixed again


def test_costs_are_asked_once_a_sample() -> None:
    asked: list[int] = []
    order = BucketedSampler(N, BATCH, SEED, lambda: 0, lambda place: asked.append(place) or COSTS[place])
    list(order), list(order)
    assert len(asked) == len(set(asked)) == N // BATCH * BATCH


def test_windows_stay_within_their_blocks() -> None:
    block_of = [block for block, size in enumerate(BLOCKS) for _ in range(size)]
    order = [block_of[place] for place in MADE["windowed"](0)]
    first = set(order[:3])
    run = next(i for i, block in enumerate(order) if len({*first, *order[: i + 1]}) > 3)
    assert set(order[:run]).isdisjoint(order[run:])  # three blocks are through before the next three begin
    assert len(set(order[:run])) == 3


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(UserError, match="Expected `window` of at least 1 block but got 0"):
        WindowedSampler(BLOCKS, BATCH, SEED, lambda: 0, window=0)


def test_costs_survive_pickling() -> None:
    order = BucketedSampler(5, 2, 0, int, float, pool=2)
    assert list(pickle.loads(pickle.dumps(order))) == list(order)
