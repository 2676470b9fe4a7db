"""Constant memory: what a histogram may get wrong, and the bounds that say so."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr import functional as F
from lit_vlr.functional import threshold_grid
from lit_vlr.metrics import AUGRC, AURC, AdaptiveCalibrationError, CoverageAtRisk, RiskAtCoverage, RiskCoverageCurve
from tests.metrics._cases import ADAPTIVE, RANKING, declined, rows

QUICK = settings(max_examples=60, deadline=None)
SCALARS = RANKING | ADAPTIVE
scalars = pytest.mark.parametrize("name", SCALARS)
# Confidences that share cells, on cuts and between them; accuracies that share a cell of three decimals.
CUTS = st.sampled_from([[0.5], [0.25, 0.75], [0.1, 0.5, 0.50001, 0.9], 8, 30])
CONFIDENCES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
ACCURACIES = st.one_of(st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.floats(0, 1), st.sampled_from([0.5001, 0.5004]))
ROWS = st.lists(st.tuples(CONFIDENCES, ACCURACIES, st.integers(1, 3), st.booleans()), min_size=1, max_size=25)
LOSSES_01 = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1, max_size=25)


def binned(shell, rows, thresholds):
    metric = shell(thresholds=thresholds)
    confidence, correctness, weight, abstained = zip(*rows, strict=True)
    metric.update(confidence, correctness, weight, abstained=abstained)
    return metric, (confidence, correctness), {"weight": weight, "abstained": abstained}


@scalars
@settings(max_examples=150, deadline=None)
@given(rows=ROWS, thresholds=CUTS)
def test_bounds_hold_the_exact_value(name, rows, thresholds):
    shell, function = SCALARS[name]
    metric, columns, options = binned(shell, rows, thresholds)
    exact, value, (low, high) = function(*columns, **options), metric.compute(), metric.bounds()
    if value.isnan():
        assert low.isnan()
        assert high.isnan()
        # Undefined only where the exact value is, or (PRR) where accuracies agree to three decimals.
        accuracies = {0.0 if d else a for _, a, _, d in rows}
        assert exact.isnan() or max(accuracies) - min(accuracies) < 0.001
    else:
        assert low - 1e-9 <= exact <= high + 1e-9
        assert low <= value <= high


@QUICK
@given(ROWS, CUTS)
def test_area_errors_stay_below_the_stated_share_of_the_fullest_cell(rows, thresholds):
    harmonic = sum(1 / k for k in range(1, sum(row[2] for row in rows) + 1))
    for shell, function, factor in (
        (AUGRC, F.augrc, 1 / 8),
        (AURC, F.aurc, harmonic / 4),
        (partial(AURC, "trapezoid"), partial(F.aurc, convention="trapezoid"), harmonic / 4),
        (partial(AdaptiveCalibrationError, 4), partial(F.adaptive_calibration_error, n_bins=4), 4 - 1),
    ):
        metric, columns, options = binned(shell, rows, thresholds)
        fullest = metric.fullest_cell()
        if isinstance(metric, AdaptiveCalibrationError):  # of the rows that were not declined
            kept = sum(w for w, d in zip(options["weight"], options["abstained"], strict=True) if not d)
            fullest = fullest * sum(options["weight"]) / max(kept, 1)
        limit = fullest * factor
        error = (metric.compute() - function(*columns, **options)).abs()
        assert error.isnan() or error <= limit + 1e-12
        slack = torch.stack(metric.bounds()) - metric.compute()
        assert bool((slack.isnan() | (slack.abs() <= limit + 1e-12)).all()), "bounds() is at least as sharp"


@pytest.mark.parametrize("name", ["AURC", "AURC-trapezoid", "AUGRC", "AUROC"])
@QUICK
@given(rows=LOSSES_01, seed=st.integers(0, 99))
def test_bounds_of_areas_are_attained(name, rows, seed):
    """Of 0/1 losses, by the data that sort them within each cell."""
    shell, function = RANKING[name]
    metric, (confidence, correctness), _ = binned(shell, [(c, a, 1, False) for c, a in rows], [0.3, 0.6])
    cell = [(c >= 0.3) + (c >= 0.6) for c in confidence]
    extremes = [
        function([k + sign * a / 2 for k, a in zip(cell, correctness, strict=True)], correctness) for sign in (1, -1)
    ]
    if not extremes[0].isnan():
        low, high = metric.bounds()
        torch.testing.assert_close(torch.stack([low, high]), torch.stack(extremes).sort().values, rtol=0, atol=1e-9)


@scalars
def test_cells_of_one_confidence_lose_nothing_but_edges_of_bins(name):
    """With a cut at every confidence the histogram is the data."""
    shell, function = SCALARS[name]
    confidence, correctness, weight = rows()
    metric = shell(thresholds=confidence.unique())
    metric.update(confidence, correctness, weight, abstained=declined())
    expected = function(confidence, correctness, weight=weight, abstained=declined())
    torch.testing.assert_close(metric.compute(), expected, rtol=0, atol=1e-12)


@QUICK
@given(ROWS, CUTS)
def test_points_of_the_curve_are_exact(rows, thresholds):
    metric, columns, options = binned(RiskCoverageCurve, rows, thresholds)
    exact = F.risk_coverage_curve(*columns, **options)
    points = {round(c, 9): r for c, r, _ in zip(*(column.tolist() for column in exact), strict=True)}
    curve = metric.compute()
    assert len(curve.risk) <= len(exact.risk)
    for coverage, risk, threshold in zip(*(column.tolist() for column in curve), strict=True):
        assert points[round(coverage, 9)] == pytest.approx(risk, abs=1e-12)
        kept = zip(columns[0], options["weight"], options["abstained"], strict=True)
        answered = sum(w for c, w, d in kept if c >= threshold and not d)
        assert answered / sum(options["weight"]) == pytest.approx(coverage)


@QUICK
@given(ROWS, CUTS, st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9]))
def test_coverage_at_risk_is_never_too_high(rows, thresholds, max_risk):
    metric, columns, options = binned(partial(CoverageAtRisk, max_risk), rows, thresholds)
    exact = F.coverage_at_risk(*columns, max_risk, **options)
    assert metric.compute() <= exact + 1e-12
    assert exact <= metric.bounds().high + 1e-9


@QUICK
@given(ROWS, CUTS, st.sampled_from([1e-13, 0.01, 0.2, 0.7, 1.0]))
def test_risk_at_every_coverage_is_within_its_bounds(rows, thresholds, coverage):
    metric, columns, options = binned(partial(RiskAtCoverage, coverage), rows, thresholds)
    exact, (low, high) = F.risk_at_coverage(*columns, coverage, **options), metric.bounds()
    assert exact.isnan() == low.isnan()
    assert exact.isnan() or low - 1e-9 <= exact <= high + 1e-9


def test_bounds_by_hand():
    """One cell of a right and a wrong row: tied R = 1/2, 1/2; right first 0, 1/2; wrong first 1, 1/2."""
    metric = AURC(thresholds=[0.5])
    metric.update([0.9, 0.8], [1.0, 0.0])
    assert metric.compute() == 0.5
    assert metric.bounds() == (0.25, 0.75)
    assert metric.fullest_cell() == 1.0
    metric.update([0.1, 0.2], [1.0, 1.0])
    assert metric.fullest_cell() == 0.5


def test_nothing_binned_is_exact():
    metric = AURC()
    metric.update([0.9, 0.8], [1.0, 0.0])
    assert metric.bounds() == (0.25, 0.25)
    assert metric.fullest_cell() == 0.0


def test_memory_does_not_grow():
    metric = AURC(thresholds=100)

    def size():
        return sum(getattr(metric, name).numel() for name in metric._defaults)

    before = size()
    for _ in range(3):
        metric.update(torch.rand(1000), torch.rand(1000))
    assert size() == before


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 3000))
def test_grid_has_as_many_cells_as_asked_for(n_cells):
    grid = threshold_grid(n_cells)
    assert grid.shape == (n_cells - 1,)
    assert bool((grid.diff() > 0).all())
    assert bool(grid.isfinite().all())


def test_values_that_saturate_have_their_own_cells():
    grid = threshold_grid(64)
    just_below_one = 1 - 2.0**-24
    values = torch.tensor([-math.inf, -1e300, -1e-9, 0.0, just_below_one, 1.0, 1e300, math.inf], dtype=torch.float64)
    cells = torch.bucketize(values, grid, right=True)
    assert len(set(cells.tolist())) == len(values)


KINDS = {
    "uniform probabilities": lambda x: x,
    "sure probabilities": lambda x: 1 - 10 ** (-7 * x),
    "small probabilities": lambda x: 10 ** (-7 * x),
    "log-probabilities": lambda x: -(10 ** (3 - 9 * x)),
    "summed log-probabilities": lambda x: -300 * x,
    "logits": lambda x: torch.logit(x.clamp(1e-6, 1 - 1e-6)),
    "large logits": lambda x: 400 * x - 200,
}


@pytest.mark.parametrize("kind", KINDS)
def test_grid_suits_every_kind_of_confidence(kind):
    """The fullest of 4096 cells holds little of any of these, and the areas are right to three digits."""
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(20_000, generator=generator, dtype=torch.float64)
    correctness = (torch.rand(20_000, generator=generator, dtype=torch.float64) < score).double()
    confidence = KINDS[kind](score).float()
    metric, area = AUGRC(thresholds=4096), AURC(thresholds=4096)
    metric.update(confidence, correctness)
    area.update(confidence, correctness)
    assert metric.fullest_cell() < 0.06
    assert (metric.compute() - F.augrc(confidence, correctness)).abs() < 3e-4
    assert (area.compute() - F.aurc(confidence, correctness)).abs() < 5e-4
    for low, high in (metric.bounds(), area.bounds()):
        assert high - low < 0.01


def test_weights_may_be_fractions_where_rows_are_not_counted():
    confidence, correctness, _ = rows()
    weight = torch.linspace(0.1, 0.9, 40)
    for name in ("AURC-geifman", "AUGRC", "ExcessAUGRC", "AUROC", "CoverageAtRisk", "RiskAtCoverage"):
        shell, function = RANKING[name]
        metric = shell(thresholds=[0.2, 0.5, 0.8])
        metric.update(confidence, correctness, weight)
        low, high = metric.bounds()
        assert low - 1e-12 <= function(confidence, correctness, weight=weight) <= high + 1e-12
