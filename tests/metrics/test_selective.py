import copy
import math
import pickle

import matplotlib as mpl
import pytest
import torch
from torchmetrics import MetricCollection

import lit_vlr.metrics
from lit_vlr import functional as F
from lit_vlr.metrics import (
    AUGRC,
    AURC,
    AbstentionRate,
    CoverageAtRisk,
    EffectiveReliability,
    ExcessAURC,
    PredictionRejectionRatio,
    RiskAtCoverage,
    RiskCoverageCurve,
    SelectiveAccuracy,
    VQAAccuracy,
)
from tests.metrics._cases import SHELLS, rows

shells = pytest.mark.parametrize(("shell", "function"), SHELLS.values(), ids=SHELLS)


@pytest.fixture(autouse=True)
def _no_window():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def assert_equal(value, expected):
    # One order of summation whatever the batches: equal to the last bit.
    torch.testing.assert_close(value, expected, rtol=0, atol=0)


@shells
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_batches_equal_the_whole(shell, function, batch_size):
    confidence, correctness, weight = rows()
    metric = shell()
    for batch in zip(*(column.split(batch_size) for column in (confidence, correctness, weight)), strict=True):
        metric.update(*batch)
    assert_equal(metric.compute(), function(confidence, correctness, weight=weight))


@shells
def test_weights_default_to_one(shell, function):
    confidence, correctness, _ = rows()
    metric = shell()
    metric.update(confidence, correctness)
    assert_equal(metric.compute(), function(confidence, correctness))


@shells
def test_forward_returns_the_batch_and_keeps_the_whole(shell, function):
    confidence, correctness, _ = rows()
    metric = shell()
    assert_equal(metric(confidence[:25], correctness[:25]), function(confidence[:25], correctness[:25]))
    assert_equal(metric(confidence[25:], correctness[25:]), function(confidence[25:], correctness[25:]))
    assert_equal(metric.compute(), function(confidence, correctness))


@shells
def test_pickle_clone_and_reset(shell, function):
    confidence, correctness, _ = rows()
    metric = shell()
    metric.update(confidence[:20], correctness[:20])
    for twin in (pickle.loads(pickle.dumps(metric)), metric.clone(), copy.deepcopy(metric)):
        twin.update(confidence[20:], correctness[20:])
        assert_equal(twin.compute(), function(confidence, correctness))
    assert_equal(metric.compute(), function(confidence[:20], correctness[:20]))
    metric.reset()
    metric.update(confidence[20:], correctness[20:])
    assert_equal(metric.compute(), function(confidence[20:], correctness[20:]))


@shells
def test_float64_survives_batches_of_lower_precision(shell, function):
    confidence, correctness, _ = rows()
    metric = shell()
    metric.half()  # what a Lightning module does to its children when it is cast
    metric.update(confidence[:20].bfloat16(), correctness[:20])
    metric.update(confidence[20:].double(), correctness[20:].double())
    mixed = torch.cat([confidence[:20].bfloat16().double(), confidence[20:].double()])
    assert_equal(metric.compute(), function(mixed, correctness.double()))


@shells
def test_wrong_batches_are_refused_at_once(shell, function):
    metric = shell()
    with pytest.raises(ValueError, match="`confidence` without NaN"):
        metric.update([math.nan], [1.0])
    with pytest.raises(ValueError, match="of one length but got 2 and 1"):
        metric.update([0.5, 0.4], [1.0])


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("metric", [AURC(), RiskCoverageCurve(), AbstentionRate(), SelectiveAccuracy(), VQAAccuracy()])
def test_nothing_seen_is_an_error(metric):
    with pytest.raises(ValueError, match=f"{type(metric).__name__} to be updated before `compute`"):
        metric.compute()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AURC(convention="area"), "`convention` to be one of"),
        (lambda: ExcessAURC(convention="geifman"), "`convention` to be one of"),
        (lambda: CoverageAtRisk(max_risk=5), r"`max_risk` in \[0, 1\] but got 5"),
        (lambda: RiskAtCoverage(coverage=0), r"`coverage` in \(0, 1\] but got 0"),
        (lambda: EffectiveReliability(cost=-1, threshold=0.5), r"`cost` in \[0, inf\) but got -1"),
        (lambda: EffectiveReliability(cost=1, threshold=math.nan), "`threshold` to be a number"),
    ],
)
def test_wrong_options_are_refused_at_construction(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_threshold_may_come_as_the_tensor_that_best_threshold_returns():
    metric = EffectiveReliability(cost=1.0, threshold=F.best_threshold([0.9, 0.1], [0.0, 0.0], cost=1.0))
    metric.update([0.9, 0.1], [1.0, 1.0])
    assert metric.threshold == math.inf
    assert metric.compute() == 0.0


@pytest.mark.parametrize(
    ("metric", "higher_is_better"),
    [
        (AURC, False),
        (AUGRC, False),
        (ExcessAURC, False),
        (RiskAtCoverage, False),
        (CoverageAtRisk, True),
        (EffectiveReliability, True),
        (PredictionRejectionRatio, True),
        (SelectiveAccuracy, True),
        (VQAAccuracy, True),
        (AbstentionRate, None),
        (RiskCoverageCurve, None),
    ],
)
def test_direction(metric, higher_is_better):
    assert metric.higher_is_better is higher_is_better
    assert metric.is_differentiable is False
    assert metric.full_state_update is False


def test_abstention_metrics_equal_their_functions():
    _, correctness, weight = rows()
    abstained = correctness < 0.4
    rate, accuracy = AbstentionRate(), SelectiveAccuracy()
    for part in (slice(0, 13), slice(13, 40)):
        rate.update(abstained[part], weight[part])
        accuracy.update(correctness[part], abstained[part], weight[part])
    assert_equal(rate.compute(), F.abstention_rate(abstained, weight))
    assert_equal(accuracy.compute(), F.selective_accuracy(correctness, abstained, weight))
    for metric in (rate, accuracy):
        assert_equal(pickle.loads(pickle.dumps(metric)).compute(), metric.compute())


def test_collection_of_both_kinds_shares_columns_and_picks_its_arguments():
    confidence, correctness, _ = rows()
    collection = MetricCollection(
        [AURC(), AUGRC(), CoverageAtRisk(0.4), AbstentionRate(), SelectiveAccuracy()], prefix="val/selective/"
    )
    for part in (slice(0, 13), slice(13, 40)):
        collection.update(confidence=confidence[part], correctness=correctness[part], abstained=confidence[part] < 0.5)
    values = collection.compute()
    assert_equal(values["val/selective/AURC"], F.aurc(confidence, correctness))
    assert_equal(values["val/selective/CoverageAtRisk"], F.coverage_at_risk(confidence, correctness, 0.4))
    assert_equal(values["val/selective/AbstentionRate"], F.abstention_rate(confidence < 0.5))
    assert {"AURC", "AUGRC", "CoverageAtRisk"} in [set(group) for group in collection.compute_groups.values()]


def test_curve_of_all_tied_scores_stays_a_curve():
    metric = RiskCoverageCurve()
    metric.update([0.5, 0.5], [1.0, 0.0])
    for curve in (metric.compute(), pickle.loads(pickle.dumps(metric)).compute()):
        assert isinstance(curve, F.RiskCoverage)
        assert [tuple(column.shape) for column in curve] == [(1,), (1,), (1,)]
    metric.plot()


def test_curve_is_plotted():
    confidence, correctness, _ = rows()
    metric = RiskCoverageCurve()
    metric.update(confidence, correctness)
    figure, axis = metric.plot(score=F.aurc(confidence, correctness))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Coverage", "Risk")
    assert axis.lines[0].get_xdata().tolist() == metric.compute().coverage.tolist()
    _, same_axis = metric.plot(metric.compute(), ax=axis)
    assert same_axis is axis
    assert figure is not None


@pytest.mark.parametrize("shell", [s for s, _ in SHELLS.values() if s is not RiskCoverageCurve])
def test_scalars_are_plotted(shell):
    metric = shell()
    metric.update(*rows())
    figure, _ = metric.plot()
    assert figure is not None


def test_public_names():
    assert sorted(lit_vlr.metrics.__all__) == [
        "ANLS",
        "AUGRC",
        "AURC",
        "AbstentionRate",
        "BoxIoUAccuracy",
        "CIDEr",
        "ColumnMetric",
        "CoverageAtRisk",
        "EffectiveReliability",
        "ExactMatch",
        "ExcessAURC",
        "POPEScores",
        "PredictionRejectionRatio",
        "RelaxedAccuracy",
        "RiskAtCoverage",
        "RiskCoverageCurve",
        "SelectiveAccuracy",
        "SelectiveMetric",
        "VQAAccuracy",
    ]
    assert all(hasattr(lit_vlr.metrics, name) for name in lit_vlr.metrics.__all__)
