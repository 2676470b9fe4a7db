import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import (
    best_threshold,
    coverage_at_risk,
    effective_reliability,
    risk_at_coverage,
    risk_coverage_curve,
)
from tests.functional._cases import GOLDEN, ROWS, columns
from tests.oracles import selective as oracle

QUICK = settings(max_examples=60, deadline=None)
A, T = GOLDEN["A"], GOLDEN["T_ties"]
COSTS = st.sampled_from([0.0, 0.3, 1.0, 10.0, 100.0])


@pytest.mark.parametrize(
    ("case", "max_risk", "expected"),
    [(case, float(r), c) for case in (A, T) for r, c in case["coverage_at_risk"].items()],
)
def test_coverage_at_risk_golden(case, max_risk, expected):
    value = coverage_at_risk(case["confidence"], case["correctness"], max_risk)
    assert value.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cost", ["1", "10", "100"])
def test_effective_reliability_golden(cost):
    expected = A["phi"][cost]
    threshold = best_threshold(A["confidence"], A["correctness"], float(cost))
    assert threshold.item() == expected["threshold"]
    value = effective_reliability(A["confidence"], A["correctness"], float(cost), threshold)
    assert value.item() == pytest.approx(expected["value"], abs=1e-6)
    everything = effective_reliability(A["confidence"], A["correctness"], float(cost), -math.inf)
    assert everything.item() == pytest.approx(A["phi_no_abstention"][cost], abs=1e-6)


def test_effective_reliability_of_a_perfect_selector_golden():
    value = effective_reliability(A["correctness"], A["correctness"], 100.0, threshold=0.01)
    assert value.item() == pytest.approx(A["phi_best"], abs=1e-6)


@QUICK
@given(ROWS, st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.5, 0.7, 1.0]))
def test_coverage_at_risk_equals_oracle(rows, max_risk):
    expected = oracle.coverage_at_risk(*columns(rows), max_risk)
    assert coverage_at_risk(*columns(rows), max_risk).item() == pytest.approx(expected)


@QUICK
@given(ROWS, st.sampled_from([0.01, 0.2, 1 / 3, 0.5, 0.6, 0.8, 1.0]))
def test_risk_at_coverage_equals_oracle(rows, coverage):
    expected = oracle.risk_at_coverage(*columns(rows), coverage)
    assert risk_at_coverage(*columns(rows), coverage).item() == pytest.approx(expected, abs=1e-12)


@QUICK
@given(ROWS, COSTS, st.sampled_from([-math.inf, -2.0, 0.3, 0.5, 2.0, math.inf]))
def test_effective_reliability_equals_oracle(rows, cost, threshold):
    expected = oracle.effective_reliability(*columns(rows), cost, threshold)
    assert effective_reliability(*columns(rows), cost, threshold).item() == pytest.approx(expected, abs=1e-12)


@QUICK
@given(ROWS, COSTS)
def test_best_threshold_is_the_lowest_of_the_best(rows, cost):
    confidence, correctness = columns(rows)
    threshold = best_threshold(confidence, correctness, cost)
    value = effective_reliability(confidence, correctness, cost, threshold).item()
    assert value == pytest.approx(oracle.best_reliability(confidence, correctness, cost), abs=1e-12)
    for lower in {c for c in confidence if c < threshold}:
        assert oracle.effective_reliability(confidence, correctness, cost, lower) < value


@QUICK
@given(ROWS, COSTS, st.integers(0, 99))
def test_row_order_never_matters(rows, cost, seed):
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert best_threshold(*columns(shuffled), cost) == best_threshold(*columns(rows), cost)
    assert coverage_at_risk(*columns(shuffled), 0.3) == coverage_at_risk(*columns(rows), 0.3)
    assert risk_at_coverage(*columns(shuffled), 0.5) == risk_at_coverage(*columns(rows), 0.5)


@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 4)),
        min_size=1,
        max_size=8,
    )
)
def test_whole_weights_are_repetitions(rows):
    repeated = [row for row in rows for _ in range(row[2])]
    weight = [row[2] for row in rows]
    pairs = [
        (coverage_at_risk(*columns(rows), 0.3, weight), coverage_at_risk(*columns(repeated), 0.3)),
        (risk_at_coverage(*columns(rows), 0.5, weight), risk_at_coverage(*columns(repeated), 0.5)),
        (best_threshold(*columns(rows), 1.0, weight), best_threshold(*columns(repeated), 1.0)),
        (
            effective_reliability(*columns(rows), 1.0, 0.5, weight),
            effective_reliability(*columns(repeated), 1.0, 0.5),
        ),
    ]
    for weighted, expected in pairs:
        torch.testing.assert_close(weighted, expected, rtol=0, atol=1e-12)


def test_monotone_transform_of_confidence_maps_the_threshold():
    shifted = [math.exp(c) for c in A["confidence"]]
    assert best_threshold(shifted, A["correctness"], 1.0).item() == math.exp(A["phi"]["1"]["threshold"])
    assert coverage_at_risk(shifted, A["correctness"], 0.2).item() == A["coverage_at_risk"]["0.2"]


def test_coverage_at_risk_scans_from_full_coverage_down():
    """Only the most confident of ten is wrong: R_10 = 1/10, though R_1 = 1."""
    assert coverage_at_risk(range(10, 0, -1), [0] + [1] * 9, max_risk=0.1).item() == 1.0


def test_infeasible_risk_means_coverage_zero():
    assert coverage_at_risk([0.9, 0.5], [0.0, 0.0], max_risk=0.5).item() == 0.0


def test_float32_accuracies_do_not_miss_their_own_risk():
    """1 - 0.9 is 0.1000000238 in float32, which is not what a reader means by a risk of 10%."""
    assert coverage_at_risk(torch.rand(20), torch.full((20,), 0.9), max_risk=0.1).item() == 1.0


def test_risk_just_above_the_limit_is_not_covered():
    correctness = torch.ones(100_000)
    correctness[:1001] = 0
    assert coverage_at_risk(torch.zeros(100_000), correctness, max_risk=0.01).item() == 0.0


def test_losing_cuts_give_infinity_and_abstain_on_everything():
    """A block of ties that loses as a whole cannot be entered for its one good row."""
    confidence, correctness = [0.8] * 6, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    threshold = best_threshold(confidence, correctness, cost=1.0)
    assert threshold.item() == math.inf
    assert effective_reliability(confidence, correctness, 1.0, threshold).item() == 0.0


def test_infinite_threshold_abstains_even_on_infinite_confidence():
    assert effective_reliability([math.inf], [0.0], 1.0, math.inf).item() == 0.0
    assert best_threshold([math.inf], [0.0], 1.0).item() == math.inf


def test_rows_of_infinite_confidence_can_be_answered_alone():
    confidence, correctness = [math.inf, 0.5], [1.0, 0.0]
    threshold = best_threshold(confidence, correctness, cost=5.0)
    assert threshold.item() == torch.finfo(torch.float64).max
    assert effective_reliability(confidence, correctness, 5.0, threshold).item() == 0.5


def test_partly_right_answers_are_not_charged():
    assert effective_reliability([0.5, 0.5], [0.3, 0.0], cost=2.0, threshold=-math.inf).item() == pytest.approx(-0.85)


def test_every_threshold_of_the_curve_realises_its_coverage():
    """Through the comparison that users write, in the precision of the scores."""
    confidence = torch.tensor([0.1, 0.2, 0.2, 0.7, math.inf, -math.inf])
    curve = risk_coverage_curve(confidence, torch.ones(6))
    for coverage, threshold in zip(curve.coverage, curve.threshold, strict=True):
        assert (confidence >= threshold).double().mean() == coverage


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coverage_at_risk([0.5], [1.0], 1.5), r"`max_risk` in \[0, 1\] but got 1\.5; pass a fraction"),
        (lambda: coverage_at_risk([0.5], [1.0], math.nan), r"`max_risk` in \[0, 1\] but got nan"),
        (lambda: risk_at_coverage([0.5], [1.0], 0.0), r"`coverage` in \(0, 1\] but got 0; .*undefined"),
        (lambda: effective_reliability([0.5], [1.0], -1.0, 0.5), r"`cost` in \[0, inf\) but got -1"),
        (lambda: best_threshold([0.5], [1.0], math.inf), r"`cost` in \[0, inf\) but got inf"),
        (lambda: effective_reliability([0.5], [1.0], 1.0, math.nan), r"`threshold` to be a number but got nan"),
    ],
)
def test_wrong_operating_points_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
