"""Two processes see what one process sees."""

import importlib.util
import warnings

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torchmetrics import MetricCollection

from lit_vlr import functional as F
from lit_vlr.metrics import AURC, CIDEr, POPEScores, VQAAccuracy
from tests.metrics._cases import ANSWER_SHELLS, CAPTION_ROWS, OUTCOMES, SHELLS, rows

# Unequal shares, and a rank that saw nothing at all: its empty column has to be gathered like any other.
SHARES = {"unequal": (slice(0, 27), slice(27, 40)), "empty rank": (slice(0, 40), slice(0, 0))}


def _check(rank, store):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The ``compute`` method")  # of the rank that saw nothing
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    columns = rows()
    try:
        for name, shares in SHARES.items():
            share = [column[shares[rank]] for column in columns]
            for shell, function in SHELLS.values():
                metric = shell()
                if len(share[0]):
                    metric.update(*share)
                value, expected = metric.compute(), function(columns[0], columns[1], weight=columns[2])
                torch.testing.assert_close(value, expected, rtol=0, atol=0, msg=lambda m, n=name: f"{n}: {m}")

            collection = MetricCollection([AURC(), SHELLS["CoverageAtRisk"][0]()])
            if len(share[0]):
                collection.update(*share)
            expected = SHELLS["AURC"][1](columns[0], columns[1], weight=columns[2])
            torch.testing.assert_close(collection.compute()["AURC"], expected, rtol=0, atol=0)

        accuracy = VQAAccuracy()
        accuracy.update(["red"] * (rank + 1), [["red"] * 10, ["blue"] * 10][: rank + 1])
        assert abs(accuracy.compute().item() - 2 / 3) < 1e-12

        for shares in (slice(0, 2), slice(2, None)), (slice(0, None), slice(0, 0)):
            _check_answers(shares[rank])
    finally:
        dist.destroy_process_group()


def _check_answers(share):
    for name, (shell, function, columns) in ANSWER_SHELLS.items():
        value = _updated(shell(), columns, share).compute().item()
        assert abs(value - function(*columns)) < 1e-12, name

    scores = _updated(POPEScores(), OUTCOMES, share).compute()
    assert {name: value.item() for name, value in scores.items()} == F.pope_scores(*OUTCOMES)._asdict()

    if importlib.util.find_spec("pycocoevalcap") is not None:
        predictions, references, ids = CAPTION_ROWS
        expected = F.cider(dict(zip(ids, predictions, strict=True)), dict(zip(ids, references, strict=True))).mean
        assert abs(_updated(CIDEr(), CAPTION_ROWS, share).compute().item() - expected) < 1e-12


def _updated(metric, columns, share):
    batch = [column[share] for column in columns]
    if len(batch[0]):
        metric.update(*batch)
    return metric


def test_two_processes_equal_one(tmp_path):
    mp.spawn(_check, args=(tmp_path / "store",), nprocs=2)
