"""Rows that the model declined in words: never answered, always counted."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import (
    augrc,
    aurc,
    auroc,
    best_threshold,
    coverage_at_risk,
    effective_reliability,
    excess_augrc,
    excess_aurc,
    prediction_rejection_ratio,
    risk_at_coverage,
    risk_coverage_curve,
)
from tests.functional._cases import ACCURACIES, CONFIDENCES, columns
from tests.oracles import selective as oracle

QUICK = settings(max_examples=60, deadline=None)
ROWS = st.lists(st.tuples(CONFIDENCES, ACCURACIES, st.booleans()), min_size=1, max_size=6)


def declined(rows):
    return [row[2] for row in rows]


@QUICK
@given(ROWS)
def test_curve_ends_at_what_was_not_declined(rows):
    curve = risk_coverage_curve(*columns(rows), abstained=declined(rows))
    expected = oracle.declined_cuts(*columns(rows), declined(rows))
    assert curve.coverage.tolist() == pytest.approx([c for c, *_ in expected])
    assert curve.risk.tolist() == pytest.approx([r for _, r, _ in expected])
    assert max(curve.coverage.tolist(), default=0.0) == pytest.approx(declined(rows).count(False) / len(rows))


@pytest.mark.parametrize("convention", ["mean", "trapezoid", "geifman"])
@QUICK
@given(rows=ROWS)
def test_areas_give_them_last_with_loss_one(convention, rows):
    ranks, correctness = oracle.given_last(*columns(rows), declined(rows))
    value = aurc(*columns(rows), convention, abstained=declined(rows))
    assert value.item() == pytest.approx(oracle.aurc(ranks, correctness, convention), abs=1e-12)


@QUICK
@given(ROWS)
def test_ranking_metrics_give_them_last_too(rows):
    ranks, correctness = oracle.given_last(*columns(rows), declined(rows))
    given_last = {
        augrc: oracle.augrc,
        auroc: oracle.auroc,
        excess_aurc: lambda s, a: oracle.aurc(s, a, "mean") - oracle.best_aurc(a, "mean"),
    }
    for metric, expected in given_last.items():
        value = metric(*columns(rows), abstained=declined(rows)).item()
        assert value == pytest.approx(expected(ranks, correctness), abs=1e-12, nan_ok=True)
    assert excess_augrc(*columns(rows), abstained=declined(rows)) == excess_augrc(ranks, correctness)
    if len(set(correctness)) > 1:
        value = prediction_rejection_ratio(*columns(rows), abstained=declined(rows)).item()
        assert value == pytest.approx(oracle.prediction_rejection_ratio(ranks, correctness), abs=1e-9)


@QUICK
@given(ROWS, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_coverage_at_risk_never_exceeds_what_was_not_declined(rows, max_risk):
    cuts = oracle.declined_cuts(*columns(rows), declined(rows))
    expected = max((c for c, r, _ in cuts if r <= max_risk + 1e-9), default=0.0)
    assert coverage_at_risk(*columns(rows), max_risk, abstained=declined(rows)).item() == pytest.approx(expected)


@QUICK
@given(ROWS, st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_risk_at_a_coverage_out_of_reach_is_undefined(rows, coverage):
    cuts = oracle.declined_cuts(*columns(rows), declined(rows))
    expected = next((r for c, r, _ in cuts if c >= coverage - 1e-9), math.nan)
    value = risk_at_coverage(*columns(rows), coverage, abstained=declined(rows)).item()
    assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


@QUICK
@given(ROWS, st.sampled_from([0.0, 1.0, 10.0]))
def test_they_earn_nothing_and_choose_no_threshold(rows, cost):
    kept = [row for row in rows if not row[2]]
    threshold = best_threshold(*columns(rows), cost, abstained=declined(rows))
    value = effective_reliability(*columns(rows), cost, threshold, abstained=declined(rows)).item()
    if kept:
        assert threshold == best_threshold(*columns(kept), cost)
        expected = effective_reliability(*columns(kept), cost, threshold).item() * len(kept) / len(rows)
        assert value == pytest.approx(expected, abs=1e-12)
    else:
        assert threshold.item() == math.inf
        assert value == 0.0


@QUICK
@given(ROWS, CONFIDENCES, st.sampled_from([0.0, 1.0]))
def test_to_decline_pays_only_where_the_answer_is_wrong(rows, confidence, accuracy):
    """What the convention is for: to decline a right answer never improves an area, nor does a wrong one worsen it."""
    answered, silent = ([*rows, (confidence, accuracy, decline)] for decline in (False, True))
    for area in (aurc, augrc):
        change = area(*columns(silent), abstained=declined(silent)) - area(
            *columns(answered), abstained=declined(answered)
        )
        assert change.item() <= 1e-12 if accuracy == 0.0 else change.item() >= -1e-12


def test_everything_declined():
    args, all_three = ([0.9, 0.5, 0.5], [1.0, 1.0, 0.0]), [True] * 3
    curve = risk_coverage_curve(*args, abstained=all_three)
    assert [tuple(column.shape) for column in curve] == [(0,)] * 3
    assert aurc(*args, abstained=all_three).item() == 1.0  # the worst there is, not the best
    assert augrc(*args, abstained=all_three).item() == 0.5
    assert excess_aurc(*args, abstained=all_three).item() == 0.0
    assert math.isnan(auroc(*args, abstained=all_three).item())
    assert math.isnan(prediction_rejection_ratio(*args, abstained=all_three).item())
    assert coverage_at_risk(*args, 1.0, abstained=all_three).item() == 0.0
    assert math.isnan(risk_at_coverage(*args, 0.1, abstained=all_three).item())


def test_wrong_decisions_are_refused():
    with pytest.raises(ValueError, match=r"`abstained` to be booleans or 0/1 but got 0\.5 at index 1"):
        aurc([0.9, 0.5], [1.0, 0.0], abstained=[0.0, 0.5])
    with pytest.raises(ValueError, match="`abstained` and `correctness` of one length but got 1 and 2"):
        augrc([0.9, 0.5], [1.0, 0.0], abstained=[True])
