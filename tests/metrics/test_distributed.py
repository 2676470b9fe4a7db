"""Two processes see what one process sees."""

import importlib.util
import warnings

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torchmetrics import MetricCollection

from lit_vlr import functional as F
from lit_vlr.metrics import (
    AURC,
    AbstentionRate,
    ByGroup,
    CIDEr,
    ExpectedCalibrationError,
    POPEScores,
    SelectiveAccuracy,
    VQAAccuracy,
)
from tests.metrics._cases import ANSWER_SHELLS, CAPTION_ROWS, OUTCOMES, SHELLS, TOLERANCE, declined, rows

# Unequal shares, and a rank that saw nothing at all: its empty column has to be gathered like any other.
SHARES = {"unequal": (slice(0, 27), slice(27, 40)), "empty rank": (slice(0, 40), slice(0, 0))}


def _check(rank, store):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The ``compute`` method")  # of the rank that saw nothing
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        for name, shares in SHARES.items():
            _check_shells(name, shares[rank])
            _check_groups(shares[rank])
            _check_decisions(shares[rank])
        accuracy = VQAAccuracy()
        accuracy.update(["red"] * (rank + 1), [["red"] * 10, ["blue"] * 10][: rank + 1])
        assert abs(accuracy.compute().item() - 2 / 3) < 1e-12

        for shares in (slice(0, 2), slice(2, None)), (slice(0, None), slice(0, 0)):
            _check_answers(shares[rank])
    finally:
        dist.destroy_process_group()


def _equal(value, expected, atol=0.0, case=""):
    torch.testing.assert_close(value, expected, rtol=0, atol=atol, msg=lambda message: f"{case}: {message}")


def _check_shells(name, rows_here):
    (confidence, correctness, weight), abstained = rows(), declined()
    share = [column[rows_here] for column in (confidence, correctness, weight)]
    for shell_name, (shell, function) in SHELLS.items():
        metric = shell()
        if len(share[0]):
            metric.update(*share, abstained=abstained[rows_here])
        case = f"{name}, {shell_name}"
        expected = function(confidence, correctness, weight=weight, abstained=abstained)
        _equal(metric.compute(), expected, TOLERANCE[shell_name], case)
        if hasattr(metric, "bounds"):
            low, high = metric.bounds()
            assert low - 1e-12 <= expected <= high + 1e-12, case
        # Whatever was exchanged, each rank is left with its own rows.
        if len(share[0]):
            metric.update(*share, abstained=abstained[rows_here])
        twice = [torch.cat([column, column]) for column in (confidence, correctness, weight, abstained)]
        expected = function(*twice[:2], weight=twice[2], abstained=twice[3])
        _equal(metric.compute(), expected, TOLERANCE[shell_name], case)

    collection = MetricCollection([AURC(), SHELLS["CoverageAtRisk"][0]()])
    if len(share[0]):
        collection.update(*share)
    _equal(collection.compute()["AURC"], F.aurc(confidence, correctness, weight=weight))


def _check_groups(rows_here):
    """Group "late" is met by one rank only, "never" by none."""
    confidence, correctness, weight = rows()
    group = ["early"] * 30 + ["late"] * 10
    # All confidences below the only cut: one cell, so all tied.
    one_cell = AURC(thresholds=[2.0]), lambda s, a, weight: F.aurc(torch.zeros_like(s), a, weight=weight)
    for metric, function in ((AURC(), F.aurc), one_cell, (ExpectedCalibrationError(), F.expected_calibration_error)):
        by_group = ByGroup(metric, groups=["early", "late", "never"])
        if len(group[rows_here]):
            by_group.update(confidence[rows_here], correctness[rows_here], group[rows_here], weight[rows_here])
        expected = F.by_group(function, confidence, correctness, group, higher_is_better=False, weight=weight)
        values = by_group.compute()
        assert values.pop("never").isnan()
        _equal(values, expected.values | {"worst": expected.worst}, 1e-12)


def _check_decisions(rows_here):
    (_, correctness, weight), abstained = rows(), declined()
    rate, accuracy = AbstentionRate(), SelectiveAccuracy()
    if len(weight[rows_here]):
        rate.update(abstained[rows_here], weight[rows_here])
        accuracy.update(correctness[rows_here], abstained[rows_here], weight[rows_here])
    _equal(rate.compute(), F.abstention_rate(abstained, weight), 1e-12)
    _equal(accuracy.compute(), F.selective_accuracy(correctness, abstained, weight), 1e-12)


def _check_answers(share):
    for name, (shell, function, columns) in ANSWER_SHELLS.items():
        for value in _computed_twice(shell(), columns, share):  # a mean of all rows twice is the mean of all rows
            assert abs(value.item() - function(*columns)) < 1e-12, name

    once, twice = F.pope_scores(*OUTCOMES), F.pope_scores(*[column * 2 for column in OUTCOMES])
    for scores, expected in zip(_computed_twice(POPEScores(), OUTCOMES, share), (once, twice), strict=True):
        assert {name: value.item() for name, value in scores.items()} == expected._asdict()

    if importlib.util.find_spec("pycocoevalcap") is not None:
        predictions, references, ids = CAPTION_ROWS
        expected = F.cider(dict(zip(ids, predictions, strict=True)), dict(zip(ids, references, strict=True))).mean
        assert abs(_updated(CIDEr(), CAPTION_ROWS, share).compute().item() - expected) < 1e-12


def _computed_twice(metric, columns, share):
    """What a rank that saw nothing new has cached, the others would wait for."""
    return _updated(metric, columns, share).compute(), _updated(metric, columns, share).compute()


def _updated(metric, columns, share):
    batch = [column[share] for column in columns]
    if len(batch[0]):
        metric.update(*batch)
    return metric


def test_two_processes_equal_one(tmp_path):
    mp.spawn(_check, args=(tmp_path / "store",), nprocs=2)
