import math
import random
import re
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import (
    best_threshold,
    conformal_threshold,
    cost_threshold,
    coverage_at_risk,
    coverage_threshold,
    empirical_threshold,
    learn_then_test_threshold,
    risk_at_coverage,
    sgr_threshold,
)
from lit_vlr.functional.thresholds.choice import NOTHING_TO_ANSWER
from tests.oracles import thresholds as oracle

QUICK = settings(max_examples=80, deadline=None)
HIGHEST = torch.finfo(torch.float64).max
LEVELS = st.sampled_from([-math.inf, 0.1, 0.3, 0.5, 0.9, math.inf])
RISKS = st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0])
DELTAS = st.sampled_from([0.05, 0.1, 0.3])


def splits(accuracies):
    """Mostly right answers, with ties or without, and a block of worse ones at the end."""
    row = st.tuples(st.one_of(LEVELS, st.floats(0, 1)), st.sampled_from([1.0, 1.0, 1.0, *accuracies]))
    return st.tuples(st.lists(row, min_size=1, max_size=80), st.integers(0, 60)).map(
        lambda pair: pair[0] + [(2.0 - i / 100, 1.0) for i in range(pair[1])]
    )


BINARY, SOFT = splits([1.0, 0.0]), splits([0.9, 0.6, 0.0])
EVERY = {
    "empirical": lambda c, a, r: empirical_threshold(c, a, r),
    "ltt": lambda c, a, r: learn_then_test_threshold(c, a, r, 0.1),
    "ltt3": lambda c, a, r: learn_then_test_threshold(c, a, r, 0.1, starts=3),
    "sgr": lambda c, a, r: sgr_threshold(c, a, r, 0.1),
    "crc": lambda c, a, r: conformal_threshold(c, a, r),
}
DECLINING = {
    "empirical": lambda c, a, r, gone: empirical_threshold(c, a, r, abstained=gone),
    "ltt": lambda c, a, r, gone: learn_then_test_threshold(c, a, r, 0.1, binary=True, abstained=gone),
    "ltt3": lambda c, a, r, gone: learn_then_test_threshold(c, a, r, 0.1, starts=3, binary=True, abstained=gone),
    "sgr": lambda c, a, r, gone: sgr_threshold(c, a, r, 0.1, abstained=gone),
    "cost": lambda c, a, r, gone: cost_threshold(c, a, 10 * r, abstained=gone),
}


def columns(rows):
    return [row[0] for row in rows], [row[1] for row in rows]


def comparable(threshold):
    """The package's thresholds in the oracle's words: None for abstaining, inf for the block of confidence inf."""
    return None if threshold == math.inf else math.inf if threshold == HIGHEST else threshold


@QUICK
@given(st.one_of(BINARY, SOFT), RISKS, DELTAS, st.integers(1, 4))
def test_learn_then_test_equals_oracle(rows, risk, delta, starts):
    choice = learn_then_test_threshold(*columns(rows), risk, delta, starts=starts)
    assert comparable(choice.threshold) == oracle.learn_then_test(*columns(rows), risk, delta, starts)


@QUICK
@given(BINARY, RISKS, DELTAS)
def test_sgr_equals_oracle(rows, risk, delta):
    choice = sgr_threshold(*columns(rows), risk, delta)
    expected = oracle.sgr(*columns(rows), risk, delta)
    assert (None if expected is None else expected[0]) == comparable(choice.threshold)
    if expected is not None:
        assert choice.bound == pytest.approx(expected[1])
        assert choice.risk <= choice.bound <= risk


@QUICK
@given(st.one_of(BINARY, SOFT), RISKS)
def test_conformal_equals_oracle(rows, risk):
    choice = conformal_threshold(*columns(rows), risk)
    assert comparable(choice.threshold) == oracle.conformal(*columns(rows), risk + 1e-9)


@QUICK
@given(st.one_of(BINARY, SOFT), RISKS)
def test_empirical_is_coverage_at_risk(rows, risk):
    choice = empirical_threshold(*columns(rows), risk)
    assert choice.coverage == pytest.approx(float(coverage_at_risk(*columns(rows), risk)))


@QUICK
@given(SOFT, st.sampled_from([0.01, 0.5, 1.0]))
def test_coverage_is_risk_at_coverage(rows, coverage):
    choice = coverage_threshold(*columns(rows), coverage)
    assert choice.coverage >= coverage - 1e-12
    assert choice.risk == pytest.approx(float(risk_at_coverage(*columns(rows), coverage)))


@QUICK
@given(SOFT, st.sampled_from([0.0, 1.0, 100.0]))
def test_cost_is_best_threshold(rows, cost):
    assert cost_threshold(*columns(rows), cost).threshold == float(best_threshold(*columns(rows), cost))


@pytest.mark.parametrize("method", EVERY)
@QUICK
@given(data=st.data())
def test_a_larger_allowed_risk_never_gives_a_higher_threshold(method, data):
    rows = data.draw(BINARY if method == "sgr" else st.one_of(BINARY, SOFT))
    strict, lax = sorted(data.draw(st.tuples(RISKS, RISKS)))
    assert EVERY[method](*columns(rows), lax).threshold <= EVERY[method](*columns(rows), strict).threshold


@pytest.mark.parametrize("method", EVERY)
@QUICK
@given(data=st.data())
def test_row_order_never_matters(method, data):
    rows = data.draw(BINARY if method == "sgr" else SOFT)
    shuffled = random.Random(data.draw(st.integers(0, 99))).sample(rows, len(rows))
    risk = data.draw(RISKS)
    assert EVERY[method](*columns(shuffled), risk) == EVERY[method](*columns(rows), risk)


@pytest.mark.parametrize("method", EVERY)
@QUICK
@given(data=st.data())
def test_the_choice_describes_what_its_threshold_answers(method, data):
    """Through the comparison that users write; ties on one side of it."""
    rows = data.draw(BINARY if method == "sgr" else SOFT)
    choice = EVERY[method](*columns(rows), data.draw(RISKS))
    answered = [] if choice.threshold == math.inf else [1 - a for c, a in rows if c >= choice.threshold]
    assert (choice.n, choice.answered) == (len(rows), len(answered))
    assert choice.feasible == bool(answered) == (choice.reason == "")
    assert choice.risk == (pytest.approx(sum(answered) / len(answered), abs=1e-9) if answered else None)
    assert (choice.bound is None) == (method == "empirical" or not answered)


def test_ties_enter_together():
    """29 of 30 rows would do, but the one wrong answer ties with them."""
    tied, apart = [0.9] * 30, [0.9] * 29 + [0.8]
    correctness = [1.0] * 29 + [0.0]
    assert learn_then_test_threshold(apart, correctness, 0.1).threshold == 0.9
    assert learn_then_test_threshold(tied, correctness, 0.1).threshold == math.inf


def test_soft_losses_cost_the_factor_e():
    """One error in 46 proves 10% for right-or-wrong accuracy, not for soft ones (P[Bin(46, .1) <= 1] = .048)."""
    confidence, correctness = [1.0] * 46, [1.0] * 45 + [0.0]
    assert learn_then_test_threshold(confidence, correctness, 0.1).threshold == 1.0
    assert learn_then_test_threshold(confidence, correctness, 0.1, binary=False).threshold == math.inf


def test_more_starts_survive_an_early_mistake():
    correctness = [1.0] * 899 + [0.0, 1.0, 1.0, 1.0]
    assert learn_then_test_threshold(range(903), correctness, 0.1).threshold == math.inf
    assert learn_then_test_threshold(range(903), correctness, 0.1, starts=3).threshold == 0.0


@pytest.mark.parametrize(("risk", "least"), [(0.01, 299), (0.05, 59), (0.1, 29), (0.2, 14)])
def test_the_fewest_questions_that_prove_anything(risk, least):
    too_few = learn_then_test_threshold(range(least - 1), [1.0] * (least - 1), risk)
    assert not too_few.feasible
    assert too_few.reason == (
        f"needs at least {least} answered calibration questions without error for r={risk:g}, delta=0.05; "
        f"has {least - 1}"
    )
    assert learn_then_test_threshold(range(least), [1.0] * least, risk).threshold == 0.0


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (
            learn_then_test_threshold(range(40), [1] * 30 + [0] + [1] * 9, 0.1),
            r"needs at least 29 .*; has 9 \(the 29 surest have a risk of 0.0345, p = 0.2\)",
        ),
        (
            learn_then_test_threshold(range(60), [1] * 54 + [0, 0] + [1] * 4, 0.1, starts=3),
            r"needs at least 39 .*delta=0.05 split over 3 starts; has 4 \(the 39 surest have a risk of 0.0513, p = 0",
        ),
        (
            sgr_threshold(range(40), [1] * 40, 0.1),
            "needs at least 46 .*delta=0.05 in 6 steps; has 40; its search tried the surest 20, 10, 5, 2, 1$",
        ),
        (sgr_threshold([0.5], [1], 0.1), "needs at least 29 .* in 1 steps; has 1; "),
        (conformal_threshold(range(12), [1] * 12, 0.05), "needs at least 19 calibration questions for r=0.05; has 12"),
        (conformal_threshold([1] * 20 + [0], [0] * 20 + [1], 0.1), r"surest \(20 of 21 questions\) already has 0.955"),
        (empirical_threshold([2, 1], [0, 1], 0.1), "risk of at most 0.1 on the calibration split; the lowest is 0.5"),
        (cost_threshold([2, 1], [0, 0], 1.0), "at a cost of 1 a wrong answer, every threshold loses"),
    ],
)
def test_abstaining_on_everything_says_why(choice, reason):
    assert choice.threshold == math.inf
    assert not choice.feasible
    assert choice.coverage == 0.0
    assert choice.risk is choice.bound is None
    assert "nothing is answered" in choice.guarantee
    assert re.search(reason, choice.reason), choice.reason


@pytest.mark.parametrize(
    ("choice", "guarantee"),
    [
        (
            learn_then_test_threshold(range(60), [1] * 60, 0.1),
            "among the answered is at most 0.1, with probability 0.95",
        ),
        (sgr_threshold(range(90), [1] * 90, 0.1, 0.1), "among the answered is at most 0.1, with probability 0.9 "),
        (conformal_threshold(range(60), [1] * 60, 0.1), "at most 0.1 of all questions, on average"),
        (empirical_threshold([1], [1], 0.1), "none: true of the calibration split itself"),
    ],
)
def test_guarantees_in_words(choice, guarantee):
    assert choice.feasible
    assert guarantee in choice.guarantee


def test_infinite_confidences_can_be_answered_alone():
    confidence, correctness = [math.inf] * 30 + [0.5] * 10, [1.0] * 30 + [0.0] * 10
    for choose in (EVERY["ltt"], EVERY["crc"], EVERY["empirical"]):
        choice = choose(confidence, correctness, 0.1)
        assert (choice.threshold, choice.answered) == (HIGHEST, 30)


def test_a_choice_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        empirical_threshold([1], [1], 0.1).threshold = 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sgr_threshold([0.5, 0.4], [1.0, 0.6], 0.1), "0 or 1 but got 0.6; .*use Learn-then-Test"),
        (lambda: sgr_threshold([0.5], [1.0], 0.0), r"`max_risk` in \(0, 1\]"),
        (lambda: learn_then_test_threshold([0.5], [1.0], 0.1, 0.0), r"`delta` in \(0, 1\)"),
        (lambda: learn_then_test_threshold([0.5], [1.0], 0.1, starts=0), "`starts` of at least 1 but got 0"),
        (lambda: learn_then_test_threshold([0.5], [0.6], 0.1, binary=True), "got soft accuracies; leave `binary` out"),
        (lambda: learn_then_test_threshold([], [], 0.1), "at least one sample"),
        (lambda: conformal_threshold([0.5], [1.0], 0.0), r"`max_risk` in \(0, 1\]"),
        (lambda: conformal_threshold([math.nan], [1.0], 0.1), "`confidence` without NaN"),
        (lambda: empirical_threshold([0.5], [1.2], 0.1), r"`correctness` in \[0, 1\]"),
        (lambda: coverage_threshold([0.5], [1.0], 0.0), r"`coverage` in \(0, 1\]"),
        (lambda: cost_threshold([0.5], [1.0], -1.0), "`cost` in"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("method", ["empirical", "ltt", "ltt3", "sgr", "cost"])
@QUICK
@given(data=st.data())
def test_what_is_declined_in_words_proves_nothing_about_answers(method, data):
    """The choice is that of the other rows, however right "unanswerable" was; only the coverage is lower."""
    rows = data.draw(BINARY)
    declined = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    kept = [row for row, gone in zip(rows, declined, strict=True) if not gone]
    risk = data.draw(RISKS)
    choice = DECLINING[method](*columns(rows), risk, declined)
    if not kept:
        assert (choice.threshold, choice.n, choice.reason) == (math.inf, len(rows), NOTHING_TO_ANSWER)
        return
    expected = DECLINING[method](*columns(kept), risk, None)
    assert (choice.threshold, choice.answered, choice.bound) == (expected.threshold, expected.answered, expected.bound)
    assert choice.n == len(rows)


@QUICK
@given(st.one_of(BINARY, SOFT), RISKS, st.data())
def test_conformal_control_counts_what_is_declined_as_a_question(rows, risk, data):
    declined = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    choice = conformal_threshold(*columns(rows), risk, abstained=declined)
    allowed = []
    for level in sorted({c for (c, _), gone in zip(rows, declined, strict=True) if not gone}):
        lost = math.fsum(1 - a for (c, a), gone in zip(rows, declined, strict=True) if c >= level and not gone)
        if (lost + 1) / (len(rows) + 1) <= risk + 1e-9:
            allowed.append(level)
    assert comparable(choice.threshold) == min(allowed, default=None)


def test_a_coverage_that_is_left_after_declining():
    confidence, correctness, declined = [0.9, 0.8, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0], [0, 0, 1, 1]
    assert coverage_threshold(confidence, correctness, 0.5, abstained=declined).threshold == 0.8
    choice = coverage_threshold(confidence, correctness, 0.75, abstained=declined)
    assert (choice.threshold, choice.coverage) == (math.inf, 0)
    assert "declined 2 of 4" in choice.reason
