import copy
import math
import pickle

import matplotlib as mpl
import pytest
import torch
from torchmetrics import MetricCollection

from lit_vlr import functional as F
from lit_vlr.metrics import (
    AURC,
    AbstentionRate,
    ByGroup,
    PredictionRejectionRatio,
    RiskCoverageCurve,
    SelectiveAccuracy,
)
from tests.metrics._cases import SHELLS, TOLERANCE, declined, rows

SCALARS = [name for name in SHELLS if "Curve" not in name]
LABELS = ["clean", "linf", "rotate"]
shells = pytest.mark.parametrize(
    ("shell", "function", "atol"), [(*SHELLS[name], TOLERANCE[name]) for name in SCALARS], ids=SCALARS
)


def group(n=40):
    return [LABELS[i % 3] for i in range(n)]


def update(metric, part=slice(None)):
    metric.update(*(column[part] for column in rows()[:2]), group()[part], rows()[2][part], abstained=declined()[part])


def expected(function, metric):
    confidence, correctness, weight = rows()
    result = F.by_group(
        function,
        confidence,
        correctness,
        group(),
        higher_is_better=metric.higher_is_better,
        weight=weight,
        abstained=declined(),
    )
    return result.values | {"worst": result.worst}


def assert_equal(value, other, atol):
    torch.testing.assert_close(value, other, rtol=0, atol=atol, equal_nan=True)


@shells
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_batches_equal_the_whole(shell, function, atol, batch_size):
    metric = ByGroup(shell(), groups=LABELS)
    for start in range(0, 40, batch_size):
        update(metric, slice(start, start + batch_size))
    assert_equal(metric.compute(), expected(function, metric), max(atol, 1e-12))
    assert_equal(metric.compute(), expected(function, metric), max(atol, 1e-12))  # and again


@shells
def test_pickle_clone_reset_and_forward(shell, function, atol):
    metric = ByGroup(shell(), groups=LABELS)
    update(metric, slice(0, 20))
    for twin in (pickle.loads(pickle.dumps(metric)), metric.clone(), copy.deepcopy(metric)):
        update(twin, slice(20, 40))
        assert_equal(twin.compute(), expected(function, twin), 1e-12)
    metric.reset()
    confidence, correctness, weight = rows()
    first, second = slice(0, 20), slice(20, 40)
    for part in (first, second):
        alone = ByGroup(shell(), groups=LABELS)
        update(alone, part)
        batch = metric(confidence[part], correctness[part], group()[part], weight[part], abstained=declined()[part])
        assert_equal(batch, alone.compute(), 1e-12)
    assert_equal(metric.compute(), expected(function, metric), 1e-12)


def test_groups_may_be_numbers_in_any_container():
    confidence, correctness, _ = rows()
    number = torch.arange(40) % 3
    metric = ByGroup(AURC(), groups=range(3))
    metric.update(confidence, correctness, number)
    values = metric.compute()
    assert list(values) == ["0", "1", "2", "worst"]
    assert values["1"] == F.aurc(confidence[number == 1], correctness[number == 1])


def test_the_metric_that_was_given_is_left_alone():
    given = AURC()
    given.update([0.5], [0.0])
    metric = ByGroup(given, groups=["a", "b"])
    metric.update([0.5], [1.0], ["a"])
    assert given.compute() == 1.0
    assert metric.compute()["a"] == 0.0


def test_a_metric_of_decisions_is_handed_what_it_names():
    metric = ByGroup(SelectiveAccuracy(), groups=["a", "b"])
    metric.update([0.9, 0.8, 0.7], [1.0, 0.5, 0.0], ["a", "b", "b"], abstained=[0, 0, 1])
    assert metric.compute() == {"a": 1.0, "b": 0.5, "worst": 0.5}


def test_groups_without_rows_are_no_candidates_and_undefined_groups_are_the_worst():
    metric = ByGroup(PredictionRejectionRatio(), groups=["a", "b", "c"])
    metric.update([0.9, 0.8], [1.0, 0.0], ["a", "a"])
    values = metric.compute()
    assert math.isnan(values["b"])
    assert values["worst"] == values["a"] == 1.0
    metric.update([0.9, 0.8], [1.0, 1.0], ["b", "b"])
    assert math.isnan(metric.compute()["worst"])


def test_rows_of_no_weight_are_no_rows():
    metric = ByGroup(AURC(), groups=["a", "b"])
    metric.update([0.9, 0.8], [1.0, 0.0], ["a", "b"], [1, 0])
    assert math.isnan(metric.compute()["b"])
    assert metric.compute()["worst"] == 0.0


def test_it_is_plotted_and_collected():
    mpl.use("Agg")
    metric = ByGroup(AURC(), groups=LABELS)
    update(metric)
    figure, axis = metric.plot()
    assert figure is not None
    assert len(axis.lines) == 4
    collection = MetricCollection({"aurc": ByGroup(AURC(), groups=LABELS)}, prefix="test/")
    confidence, correctness, _ = rows()
    collection.update(confidence=confidence, correctness=correctness, group=group())
    assert "test/worst" in collection.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_an_error():
    with pytest.raises(ValueError, match="ByGroup to be updated before `compute`"):
        ByGroup(AURC(), groups=["a"]).compute()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ByGroup(AURC(), groups=[]), "`groups` to be different labels, at least one"),
        (lambda: ByGroup(AURC(), groups=["a", "a"]), r"`groups` to be different labels.* but got \['a', 'a'\]"),
        (lambda: ByGroup(AURC(), groups=["worst"]), "none of them 'worst'"),
        (lambda: ByGroup(AbstentionRate(), groups=["a"]), "`metric` with a direction but got AbstentionRate"),
        (lambda: ByGroup(RiskCoverageCurve(), groups=["a"]), "`metric` with a direction but got RiskCoverageCurve"),
        (
            lambda: ByGroup(AURC(), groups=["a"]).update([0.5], [1.0], ["b"]),
            r"`group` to hold labels among \['a'\] but got \['b'\]",
        ),
        (lambda: ByGroup(AURC(), groups=["a"]).update([0.5], [1.0], "a"), r"`group` of shape \(1,\)"),
    ],
)
def test_wrong_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
