import copy
import math
import pickle

import matplotlib as mpl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics import MetricCollection

import lit_vlr.metrics
from lit_vlr import functional as F
from lit_vlr.metrics import (
    AUGRC,
    AURC,
    AUROC,
    AbstentionRate,
    AdaptiveCalibrationError,
    BrierScore,
    CoverageAtRisk,
    EffectiveReliability,
    ExcessAUGRC,
    ExcessAURC,
    ExpectedCalibrationError,
    PredictionRejectionRatio,
    RiskAtCoverage,
    RiskCoverageCurve,
    SelectiveAccuracy,
    VQAAccuracy,
)
from tests.metrics._cases import SHELLS, TOLERANCE, declined, rows

shells = pytest.mark.parametrize(
    ("shell", "function", "atol"), [(*SHELLS[n], TOLERANCE[n]) for n in SHELLS], ids=SHELLS
)


@pytest.fixture(autouse=True)
def _no_window():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def assert_equal(value, expected, atol=0.0):
    torch.testing.assert_close(value, expected, rtol=0, atol=atol)


@shells
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_batches_equal_the_whole(shell, function, atol, batch_size):
    (confidence, correctness, weight), abstained = rows(), declined()
    metric = shell()
    columns = (confidence, correctness, weight, abstained)
    for *batch, declined_batch in zip(*(column.split(batch_size) for column in columns), strict=True):
        metric.update(*batch, abstained=declined_batch)
    assert_equal(metric.compute(), function(confidence, correctness, weight=weight, abstained=abstained), atol)


@shells
@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 1.0]),
            st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]),
            st.integers(1, 3),
            st.booleans(),
        ),
        min_size=2,
        max_size=12,
    ),
    cut=st.integers(1, 11),
)
def test_any_split_equals_the_whole(shell, function, atol, rows, cut):
    metric = shell()
    for part in filter(None, (rows[:cut], rows[cut:])):
        confidence, correctness, weight, abstained = zip(*part, strict=True)
        metric.update(confidence, correctness, weight, abstained=abstained)
    confidence, correctness, weight, abstained = zip(*rows, strict=True)
    expected = function(confidence, correctness, weight=weight, abstained=abstained)
    torch.testing.assert_close(metric.compute(), expected, rtol=0, atol=atol, equal_nan=True)


@shells
def test_weights_default_to_one(shell, function, atol):
    confidence, correctness, _ = rows()
    metric = shell()
    metric.update(confidence, correctness)
    assert_equal(metric.compute(), function(confidence, correctness), atol)


@shells
def test_forward_returns_the_batch_and_keeps_the_whole(shell, function, atol):
    confidence, correctness, _ = rows()
    metric = shell()
    assert_equal(metric(confidence[:25], correctness[:25]), function(confidence[:25], correctness[:25]), atol)
    assert_equal(metric(confidence[25:], correctness[25:]), function(confidence[25:], correctness[25:]), atol)
    assert_equal(metric.compute(), function(confidence, correctness), atol)


@shells
def test_pickle_clone_and_reset(shell, function, atol):
    confidence, correctness, _ = rows()
    metric = shell()
    metric.update(confidence[:20], correctness[:20])
    for twin in (pickle.loads(pickle.dumps(metric)), metric.clone(), copy.deepcopy(metric)):
        twin.update(confidence[20:], correctness[20:])
        assert_equal(twin.compute(), function(confidence, correctness), atol)
    assert_equal(metric.compute(), function(confidence[:20], correctness[:20]), atol)
    metric.reset()
    metric.update(confidence[20:], correctness[20:])
    assert_equal(metric.compute(), function(confidence[20:], correctness[20:]), atol)


@shells
def test_float64_survives_batches_of_lower_precision(shell, function, atol):
    confidence, correctness, _ = rows()
    metric = shell()
    metric.half()  # what a Lightning module does to its children when it is cast
    metric.update(confidence[:20].bfloat16(), correctness[:20])
    metric.update(confidence[20:].double(), correctness[20:].double())
    mixed = torch.cat([confidence[:20].bfloat16().double(), confidence[20:].double()])
    assert_equal(metric.compute(), function(mixed, correctness.double()), atol)


@shells
def test_wrong_batches_are_refused_at_once(shell, function, atol):
    metric = shell()
    with pytest.raises(ValueError, match="`confidence` without NaN"):
        metric.update([math.nan], [1.0])
    with pytest.raises(ValueError, match="of one length but got 2 and 1"):
        metric.update([0.5, 0.4], [1.0])


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize(
    "metric",
    [
        AURC(),
        AURC(thresholds=8),
        RiskCoverageCurve(),
        RiskCoverageCurve(thresholds=8),
        AdaptiveCalibrationError(thresholds=8),
        BrierScore(),
        AbstentionRate(),
        SelectiveAccuracy(),
        VQAAccuracy(),
    ],
)
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
        (lambda: ExpectedCalibrationError(n_bins=0), "`n_bins` to be a whole number of at least 1 but got 0"),
        (lambda: AdaptiveCalibrationError(n_bins=0), "`n_bins` to be a whole number of at least 1 but got 0"),
        (lambda: AURC(thresholds=7), "`thresholds` to be a whole number of at least 8 but got 7"),
        (lambda: AURC(thresholds=True), "`thresholds` to be a whole number of at least 8 but got True"),
        (lambda: AURC(thresholds=[0.5, 0.5]), r"`thresholds` to increase strictly.* but got \[0\.5, 0\.5\]"),
        (lambda: AURC(thresholds=[0.5, math.inf]), r"`thresholds` to increase strictly.*leave out \+inf"),
        (lambda: AURC(thresholds=[math.nan]), "`thresholds` to increase strictly, without NaN"),
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
        (ExcessAUGRC, False),
        (ExpectedCalibrationError, False),
        (AdaptiveCalibrationError, False),
        (BrierScore, False),
        (AUROC, True),
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
    assert_equal(rate.compute(), F.abstention_rate(abstained, weight), 1e-12)
    assert_equal(accuracy.compute(), F.selective_accuracy(correctness, abstained, weight), 1e-12)
    for metric in (rate, accuracy):
        assert_equal(pickle.loads(pickle.dumps(metric)).compute(), metric.compute())
        metric.plot()


def test_accuracy_of_nothing_answered_is_undefined_and_no_error():
    metric = SelectiveAccuracy()
    metric.update([1.0, 0.0], [True, True])
    assert math.isnan(metric.compute().item())


def test_collection_of_both_kinds_shares_columns_and_picks_its_arguments():
    (confidence, correctness, _), abstained = rows(), declined()
    collection = MetricCollection(
        [AURC(), AUGRC(), CoverageAtRisk(0.4), AbstentionRate(), SelectiveAccuracy()], prefix="val/selective/"
    )
    for part in (slice(0, 13), slice(13, 40)):
        collection.update(confidence=confidence[part], correctness=correctness[part], abstained=abstained[part])
    values = collection.compute()
    assert_equal(values["val/selective/AURC"], F.aurc(confidence, correctness, abstained=abstained))
    coverage = F.coverage_at_risk(confidence, correctness, 0.4, abstained=abstained)
    assert_equal(values["val/selective/CoverageAtRisk"], coverage)
    assert_equal(values["val/selective/AbstentionRate"], F.abstention_rate(abstained))
    assert {"AURC", "AUGRC", "CoverageAtRisk"} in [set(group) for group in collection.compute_groups.values()]


def test_collection_does_not_confuse_metrics_whose_first_batches_agree():
    """torchmetrics shares one state among metrics whose states are equal after one batch, for good."""
    confidence, correctness = torch.tensor([0.9, 0.4, 0.6, 0.1]), torch.tensor([1.0, 1.0, 0.0, 0.3])
    metrics = {
        "cost 1": EffectiveReliability(1.0, 0.5),
        "cost 9": EffectiveReliability(9.0, 0.5),
        "threshold": EffectiveReliability(1.0, 0.7),
        "brier": BrierScore(),
        "accuracy": SelectiveAccuracy(),
        "low cuts": AURC(thresholds=[0.2, 0.8]),
        "high cuts": AURC(thresholds=[0.5, 0.8]),
        "cells": AURC(thresholds=8),
        "adaptive": AdaptiveCalibrationError(thresholds=8, n_bins=2),
    }
    collection = MetricCollection({name: metric.clone() for name, metric in metrics.items()})
    for part in (slice(0, 1), slice(1, 4)):  # one right answer at first: every reward is 1
        columns = {"confidence": confidence[part], "correctness": correctness[part]}
        collection.update(**columns, abstained=torch.zeros(len(columns["confidence"])))
        for metric in metrics.values():
            given = columns | {"abstained": torch.zeros(len(columns["confidence"]))}
            metric.update(**metric._filter_kwargs(**given))
    for name, value in collection.compute().items():
        assert_equal(value, metrics[name].compute())
    assert len({round(value.item(), 6) for value in collection.compute().values()}) > 6


def test_fractional_weights_are_refused_where_rows_are_counted_also_behind_another_metric():
    metric = AURC()
    with pytest.raises(ValueError, match=r"`weight` to be whole numbers but got 0\.5 at index 0"):
        metric.update([0.9, 0.1], [1.0, 0.0], [0.5, 1.0])
    for thresholds in (None, 8):
        collection = MetricCollection([AUGRC(thresholds=thresholds), AURC(thresholds=thresholds)])
        collection.update([0.9, 0.1], [1.0, 0.0])
        collection.update([0.9, 0.1], [1.0, 0.0], [0.5, 0.5])  # now AUGRC, which takes fractions, updates for both
        with pytest.raises(ValueError, match="`weight` to be whole numbers"):
            collection.compute()


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


@pytest.mark.parametrize("shell", [shell for name, (shell, _) in SHELLS.items() if "Curve" not in name])
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
        "AUROC",
        "AbstentionRate",
        "AdaptiveCalibrationError",
        "Bounds",
        "BoxIoUAccuracy",
        "BrierScore",
        "ByGroup",
        "CIDEr",
        "ColumnMetric",
        "CoverageAtRisk",
        "EffectiveReliability",
        "ExactMatch",
        "ExcessAUGRC",
        "ExcessAURC",
        "ExpectedCalibrationError",
        "POPEScores",
        "PredictionRejectionRatio",
        "RelaxedAccuracy",
        "RiskAtCoverage",
        "RiskCoverageCurve",
        "SelectiveAccuracy",
        "SelectiveMetric",
        "SelectiveScalar",
        "SumMetric",
        "VQAAccuracy",
    ]
    assert all(hasattr(lit_vlr.metrics, name) for name in lit_vlr.metrics.__all__)
