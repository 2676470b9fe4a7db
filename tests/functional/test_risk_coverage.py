import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from lit_vlr.functional import (
    augrc,
    aurc,
    auroc,
    excess_augrc,
    excess_aurc,
    prediction_rejection_ratio,
    risk_coverage_curve,
)
from tests.functional._cases import GOLDEN, ROWS, columns
from tests.oracles import selective as oracle

CONVENTIONS = ["mean", "trapezoid", "geifman"]
QUICK = settings(max_examples=60, deadline=None)
A, T = GOLDEN["A"], GOLDEN["T_ties"]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_aurc_golden(convention):
    value = aurc(A["confidence"], A["correctness"], convention)
    assert value.item() == pytest.approx(A[f"aurc_{convention}"], abs=1e-6)


def test_aurc_of_ties_golden():
    value = aurc(T["confidence"], T["correctness"])
    assert value.item() == pytest.approx(T["aurc_mean_permutation_averaged"], abs=1e-6)


def test_best_order_golden():
    best = aurc(A["correctness"], A["correctness"], "trapezoid")
    assert best.item() == pytest.approx(A["best_aurc_trapezoid"], abs=1e-6)
    excess = excess_aurc(A["confidence"], A["correctness"], "trapezoid")
    assert excess.item() == pytest.approx(A["aurc_trapezoid"] - A["best_aurc_trapezoid"], abs=1e-6)


def test_augrc_golden():
    assert augrc(A["confidence"], A["correctness"]).item() == pytest.approx(A["augrc"], abs=1e-6)
    assert augrc(A["correctness"], A["correctness"]).item() == pytest.approx(A["augrc_optimum"], abs=1e-6)


def test_prediction_rejection_ratio_golden():
    expected = A["prr"]
    assert 1 - aurc(A["confidence"], A["correctness"]).item() == pytest.approx(
        expected["prefix_accuracy_mean"], abs=1e-6
    )
    assert 1 - aurc(A["correctness"], A["correctness"]).item() == pytest.approx(expected["oracle"], abs=1e-6)
    assert np.mean(A["correctness"]) == pytest.approx(expected["random_analytic"])
    ratio = prediction_rejection_ratio(A["confidence"], A["correctness"])
    assert ratio.item() == pytest.approx(expected["normalized"], abs=1e-6)


@QUICK
@given(ROWS)
def test_curve_equals_oracle(rows):
    curve = risk_coverage_curve(*columns(rows))
    coverage, risk, threshold = zip(*oracle.cuts(*columns(rows)), strict=True)
    assert curve.coverage.tolist() == pytest.approx(coverage)
    assert curve.risk.tolist() == pytest.approx(risk)
    finite = [min(t, torch.finfo(torch.float64).max) for t in threshold]  # +inf is reserved for "abstain"
    assert curve.threshold.tolist() == finite


@pytest.mark.parametrize("convention", CONVENTIONS)
@QUICK
@given(rows=ROWS)
def test_aurc_equals_oracle(convention, rows):
    expected = oracle.aurc(*columns(rows), convention)
    assert aurc(*columns(rows), convention).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("convention", ["mean", "trapezoid"])
@QUICK
@given(rows=ROWS)
def test_excess_aurc_equals_oracle(convention, rows):
    confidence, correctness = columns(rows)
    expected = oracle.aurc(confidence, correctness, convention) - oracle.best_aurc(correctness, convention)
    value = excess_aurc(confidence, correctness, convention).item()
    assert value == pytest.approx(expected, abs=1e-12)
    assert value >= 0


@QUICK
@given(ROWS)
def test_augrc_equals_oracle(rows):
    assert augrc(*columns(rows)).item() == pytest.approx(oracle.augrc(*columns(rows)), abs=1e-12)


@QUICK
@given(ROWS)
def test_prediction_rejection_ratio_equals_oracle(rows):
    confidence, correctness = columns(rows)
    value = prediction_rejection_ratio(confidence, correctness).item()
    if len(set(correctness)) == 1:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(oracle.prediction_rejection_ratio(confidence, correctness), abs=1e-9)


@pytest.mark.parametrize("metric", [partial(aurc, convention="geifman"), augrc, excess_augrc, auroc])
def test_weights_matter_by_proportion_where_n_does_not(metric):
    weight = torch.tensor([1.0, 2.0, 4.0, 1.0])
    args = [0.9, 0.5, 0.5, 0.1], [1.0, 0.3, 0.0, 0.6]
    assert metric(*args, weight=weight / 8).item() == pytest.approx(metric(*args, weight=weight).item(), abs=1e-12)


@pytest.mark.parametrize("convention", ["mean", "trapezoid"])
def test_fractional_weights_are_refused_where_n_matters(convention):
    with pytest.raises(ValueError, match=r"`weight` to be whole numbers but got 0\.5 at index 1; .*`augrc`"):
        aurc([0.9, 0.5], [1.0, 0.0], convention, weight=[1.0, 0.5])


@pytest.mark.parametrize("tied", [0.5, math.inf, -math.inf])
def test_all_tied_scores_are_a_random_order(tied):
    """E[R_k] = mean loss for every k, so AURC is the mean loss: .5, where a stable sort by accuracy gave .15."""
    confidence, correctness = [tied] * 10, [1.0] * 5 + [0.0] * 5
    assert aurc(confidence, correctness).item() == pytest.approx(0.5)
    assert aurc(confidence, correctness, "geifman").item() == pytest.approx(0.5)
    assert aurc(confidence, correctness, "trapezoid").item() == pytest.approx(0.45)  # 9 steps of width 1/10
    assert augrc(confidence, correctness).item() == pytest.approx(0.25)
    assert prediction_rejection_ratio(confidence, correctness).item() == pytest.approx(0.0, abs=1e-12)


def test_mean_convention_is_a_sum_of_rank_weighted_losses():
    """With ascending rank i, a loss weighs (psi(N+1) - psi(N-i+1)) / N, that is (1/N) sum_{k=N-i+1}^N 1/k."""
    for i in range(1, 6):
        correctness = [1.0] * 5
        correctness[i - 1] = 0.0
        expected = sum(1 / k for k in range(5 - i + 1, 6)) / 5
        assert aurc([1, 2, 3, 4, 5], correctness).item() == pytest.approx(expected)


def test_halving_every_accuracy_changes_aurc():
    halved = [a / 2 for a in A["correctness"]]
    assert aurc(A["confidence"], halved).item() == pytest.approx(0.5 + A["aurc_mean"] / 2, abs=1e-6)


def test_harmonic_formula_keeps_its_precision_on_many_rows():
    generator = np.random.default_rng(0)
    confidence, correctness = generator.random(200_000), generator.integers(0, 11, 200_000) / 10
    losses = 1 - correctness[np.argsort(-confidence)]
    expected = np.mean(np.cumsum(losses) / np.arange(1, len(losses) + 1))
    assert aurc(confidence, correctness).item() == pytest.approx(expected, abs=1e-11)


def test_one_row():
    assert risk_coverage_curve([0.5], [0.3]).coverage.tolist() == [1.0]
    assert aurc([0.5], [0.3]).item() == pytest.approx(0.7)
    assert aurc([0.5], [0.3], "trapezoid").item() == 0.0
    assert excess_aurc([0.5], [0.3]).item() == 0.0


def test_rows_of_weight_zero_leave_no_threshold():
    curve = risk_coverage_curve([0.9, 0.5], [0.0, 1.0], weight=[0, 1])
    assert curve.threshold.tolist() == [0.5]
    assert curve.risk.tolist() == [0.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_results_are_float64_for_every_input_precision(dtype):
    confidence, correctness = torch.tensor([0.75, 0.5, 0.25], dtype=dtype), torch.tensor([1, 0, 1], dtype=dtype)
    value = aurc(confidence.requires_grad_(), correctness)
    assert value.dtype == torch.float64
    assert not value.requires_grad
    assert value.item() == pytest.approx(5 / 18)


def test_unknown_conventions_are_refused():
    with pytest.raises(ValueError, match=r"`convention` to be one of \['mean', 'trapezoid', 'geifman'\] but got 'auc'"):
        aurc([0.5], [1.0], "auc")
    with pytest.raises(ValueError, match=r"`convention` to be one of \['mean', 'trapezoid'\] but got 'geifman'"):
        excess_aurc([0.5], [1.0], "geifman")
