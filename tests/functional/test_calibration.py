import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from lit_vlr.functional import adaptive_calibration_error, brier_score, expected_calibration_error
from tests.functional._cases import CALIBRATION, GOLDEN, PROBABLE_ROWS, columns
from tests.oracles import selective as oracle

QUICK = settings(max_examples=80, deadline=None)
BINS = st.sampled_from([1, 2, 3, 4, 5, 10, 15])
A = GOLDEN["A"]
metrics = pytest.mark.parametrize("metric", CALIBRATION.values(), ids=CALIBRATION)


@QUICK
@given(PROBABLE_ROWS, BINS)
def test_ece_equals_oracle(rows, n_bins):
    expected = oracle.expected_calibration_error(*columns(rows), n_bins)
    assert expected_calibration_error(*columns(rows), n_bins).item() == pytest.approx(expected, abs=1e-12)


@QUICK
@given(PROBABLE_ROWS, BINS)
def test_ace_equals_oracle(rows, n_bins):
    expected = oracle.adaptive_calibration_error(*columns(rows), n_bins)
    assert adaptive_calibration_error(*columns(rows), n_bins).item() == pytest.approx(expected, abs=1e-12)


@QUICK
@given(PROBABLE_ROWS)
def test_brier_equals_oracle(rows):
    assert brier_score(*columns(rows)).item() == pytest.approx(oracle.brier_score(*columns(rows)), abs=1e-12)


def test_values_of_the_golden_rows_by_hand():
    """Ten rows in five bins, of equal width and of equal mass."""
    # [.2, .4): .2 + .3 against 0; [.4, .6): .4 + .5 against 1; [.6, .8): .6 + .7 against 2; [.8, 1]: 3.5 against 3.
    assert expected_calibration_error(A["confidence"], A["correctness"], 5).item() == pytest.approx(
        (0.5 + 0.1 + 0.7 + 0.5) / 10
    )
    # Two rows a bin from the top: 1.85 - 2, 1.65 - 1, 1.3 - 2, .9 - 1, .5 - 0.
    assert adaptive_calibration_error(A["confidence"], A["correctness"], 5).item() == pytest.approx(
        (0.15 + 0.65 + 0.7 + 0.1 + 0.5) / 10
    )
    # Squares of .05 .1 .85 .2 .3 .4 .5 .6 .3 .2: .0025 .01 .7225 .04 .09 .16 .25 .36 .09 .04.
    assert brier_score(A["confidence"], A["correctness"]).item() == pytest.approx(1.765 / 10)


def test_ece_equals_torchmetrics_on_binary_labels_off_the_edges():
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(500, generator=generator, dtype=torch.float64)
    label = (torch.rand(500, generator=generator) < confidence**2).long()
    expected = binary_calibration_error(confidence, label, n_bins=15, norm="l1")
    assert expected_calibration_error(confidence, label).item() == pytest.approx(expected.item(), abs=1e-6)


def test_edges_belong_to_the_bin_above_and_one_to_the_last():
    # .5 shares a bin with 1, not with 0: gaps -.5 and +.5 cancel.
    assert expected_calibration_error([0.5, 1.0, 0.0], [1.0, 0.5, 0.0], n_bins=2).item() == 0.0
    # .5 and 0 in different bins: nothing cancels.
    assert expected_calibration_error([0.5, 0.0], [0.0, 0.5], n_bins=2).item() == 0.5
    assert expected_calibration_error([0.0], [1.0]).item() == 1.0


def test_ace_spreads_ties_over_bins_instead_of_cutting_them_by_row_order():
    """Four ties, half right: each bin gets .5 against .5, where a cut by row order would see 0 and 1."""
    assert adaptive_calibration_error([0.5] * 4, [1.0, 1.0, 0.0, 0.0], n_bins=2).item() == 0.0


def test_ace_of_one_row_a_bin_is_the_mean_absolute_gap():
    generator = np.random.default_rng(0)
    confidence, correctness = generator.random(30), generator.integers(0, 11, 30) / 10
    expected = np.abs(confidence - correctness).mean()
    for n_bins in (30, 60):
        assert adaptive_calibration_error(confidence, correctness, n_bins).item() == pytest.approx(expected)


@QUICK
@given(PROBABLE_ROWS)
def test_splitting_bins_never_hides_a_gap(rows):
    for error in (expected_calibration_error, adaptive_calibration_error):
        values = [error(*columns(rows), n_bins).item() for n_bins in (1, 2, 4, 8)]
        assert all(fewer <= more + 1e-12 for fewer, more in itertools.pairwise(values))


@metrics
def test_perfect_soft_calibration_is_zero(metric):
    accuracy = [0.0, 0.3, 0.6, 0.9, 1.0]
    assert metric(accuracy, accuracy).item() == pytest.approx(0.0, abs=1e-12)


@metrics
def test_declined_rows_are_left_out(metric):
    confidence, correctness = [0.9, 0.2, -math.inf], [1.0, 0.5, 0.0]
    value = metric(confidence, correctness, abstained=[0, 0, 1])
    assert value.item() == pytest.approx(metric(confidence[:2], correctness[:2]).item())
    assert math.isnan(metric([0.5, 0.5], [1.0, 1.0], abstained=[1, 1]).item())


@metrics
@pytest.mark.parametrize("outside", [-0.1, 1.5, math.inf, -math.inf])
def test_what_is_no_probability_is_refused(metric, outside):
    with pytest.raises(ValueError, match=rf"`confidence` in \[0, 1\] but got {outside:g} at index 1; .*sigmoid"):
        metric([0.5, outside], [1.0, 0.0])


@pytest.mark.parametrize("error", [expected_calibration_error, adaptive_calibration_error])
@pytest.mark.parametrize("n_bins", [0, -1, 2.5, True])
def test_wrong_bins_are_refused(error, n_bins):
    with pytest.raises(ValueError, match=f"`n_bins` to be a whole number of at least 1 but got {n_bins}"):
        error([0.5], [1.0], n_bins)
