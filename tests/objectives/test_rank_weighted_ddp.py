"""Ranks are those of the samples of all processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lit_vlr.objectives import SFT, AUGRCObjective, AURCObjective
from lit_vlr.objectives.rank_weighted import greedy_log_probability
from tests.objectives._outputs import output

LENGTHS = [1, 2, 1, 3, 2]
SHARES = (slice(0, 3), slice(3, 5))


def _check(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        whole, batch = output(LENGTHS)
        confidence = greedy_log_probability(whole, len(batch))
        mine = output(LENGTHS[SHARES[rank]])[1]
        rows = torch.arange(len(LENGTHS))[SHARES[rank]]
        kept = torch.isin(whole.answer_rows, rows)
        share = type(whole)(
            whole.answer_logits[kept],
            whole.answer_labels[kept],
            whole.answer_rows[kept] - rows[0],
            *(torch.zeros(0),) * 3,
        )
        for objective in (made(risk="cross_entropy", anchor=0.0, after=0) for made in (AURCObjective, AUGRCObjective)):
            weights = objective.weights(confidence).float()
            expected = (weights * SFT()(whole, batch))[SHARES[rank]]
            torch.testing.assert_close(objective(share, mine), expected)
    finally:
        dist.destroy_process_group()


def test_two_processes_weigh_as_one(tmp_path) -> None:
    mp.spawn(_check, args=(tmp_path / "store",), nprocs=2)
