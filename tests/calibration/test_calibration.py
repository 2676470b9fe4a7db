import json
import math
import random

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lit_vlr.calibration import (
    DegenerateCalibrationError,
    IsotonicCalibration,
    PlattScaling,
    TemperatureScaling,
    calibrator_from_dict,
)
from lit_vlr.functional import aurc

QUICK = settings(max_examples=60, deadline=None)
EVERY = {
    "temperature": TemperatureScaling.fit,
    "log temperature": lambda s, a: TemperatureScaling.fit(s, a, "log_probability"),
    "platt": PlattScaling.fit,
    "isotonic": IsotonicCalibration.fit,
}
SOFT = st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0])
PROBABILITIES = st.one_of(st.sampled_from([0.0, 0.2, 0.2, 0.7, 1.0]), st.floats(0, 1))
SCORES = st.one_of(st.sampled_from([-math.inf, -3.0, 0.5, 0.5, math.inf]), st.floats(-50, 50))
LOGS = st.one_of(st.sampled_from([-math.inf, -1e-9, 0.0]), st.floats(-50, 0))
RANGES = {"temperature": PROBABILITIES, "log temperature": LOGS, "platt": SCORES, "isotonic": SCORES}


def columns(rows):
    return [row[0] for row in rows], [row[1] for row in rows]


def split(n=400, seed=0):
    """Probabilities that are twice too bold in logit, with soft accuracies."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(0.5, 3, n)
    right = generator.random(n) < 1 / (1 + np.exp(-logit / 2))
    return 1 / (1 + np.exp(-logit)), np.where(right, generator.choice([0.6, 0.9, 1.0], n), 0.0)


def fitted(name, data):
    """A calibrator on a random split, or a skipped example where the split is degenerate."""
    rows = data.draw(st.lists(st.tuples(RANGES[name], SOFT), min_size=2, max_size=30))
    try:
        return rows, EVERY[name](*columns(rows))
    except DegenerateCalibrationError:
        assume(False)
        raise


@pytest.mark.parametrize("name", EVERY)
@QUICK
@given(data=st.data())
def test_order_is_never_reversed_and_ties_stay_ties(name, data):
    _, calibrator = fitted(name, data)
    scores = sorted(data.draw(st.lists(RANGES[name], min_size=1, max_size=20)))
    values = calibrator(scores)
    assert bool((values.diff() >= 0).all())
    assert bool(((values >= 0) & (values <= 1)).all())
    assert all(a == b for s, t, a, b in zip(scores, scores[1:], values, values[1:], strict=False) if s == t)


@pytest.mark.parametrize("name", EVERY)
@QUICK
@given(data=st.data())
def test_json_brings_it_back(name, data):
    rows, calibrator = fitted(name, data)
    text = json.dumps(calibrator.to_dict(), allow_nan=False)
    again = calibrator_from_dict(json.loads(text))
    assert again == calibrator
    assert torch.equal(again([row[0] for row in rows]), calibrator([row[0] for row in rows]))


@pytest.mark.parametrize("name", EVERY)
@QUICK
@given(data=st.data())
def test_row_order_never_matters(name, data):
    rows, calibrator = fitted(name, data)
    shuffled = random.Random(0).sample(rows, len(rows))
    scores = [row[0] for row in rows]
    torch.testing.assert_close(EVERY[name](*columns(shuffled))(scores), calibrator(scores), atol=1e-6, rtol=1e-6)


def test_equal_confidences_have_no_spread_though_their_mean_is_rounded():
    """(.485 + .485 + .485) / 3 is not .485 in binary."""
    with pytest.raises(DegenerateCalibrationError, match="two different finite confidences but 3 are finite"):
        PlattScaling.fit([-math.inf, 0.485, 0.485, 0.485], [0.0, 0.0, 0.0, 0.9])


@pytest.mark.parametrize("name", ["temperature", "platt"])
def test_selective_metrics_stay_as_they_are(name):
    confidence, correctness = split()
    calibrated = EVERY[name](confidence, correctness)(confidence)
    assert float(aurc(calibrated, correctness)) == pytest.approx(float(aurc(confidence, correctness)), abs=1e-9)


def test_temperature_finds_how_much_too_bold():
    confidence, correctness = split(20_000)
    assert TemperatureScaling.fit(confidence, (correctness > 0).astype(float)).temperature == pytest.approx(2, rel=0.05)


def test_temperature_minimises_the_soft_cross_entropy():
    """Against a bounded search over the loss itself, written out."""
    confidence, correctness = split()

    def loss(temperature):
        calibrated = 1 / (1 + np.exp(-np.log(confidence / (1 - confidence)) / temperature))
        return -(correctness * np.log(calibrated) + (1 - correctness) * np.log(1 - calibrated)).sum()

    expected = scipy.optimize.minimize_scalar(loss, bounds=(0.05, 50), method="bounded", options={"xatol": 1e-9}).x
    assert TemperatureScaling.fit(confidence, correctness).temperature == pytest.approx(expected, rel=1e-5)


def test_log_probabilities_are_the_same_scores_without_underflow():
    confidence, correctness = split()
    plain = TemperatureScaling.fit(confidence, correctness)
    logs = TemperatureScaling.fit(np.log(confidence), correctness, "log_probability")
    assert logs.temperature == pytest.approx(plain.temperature, rel=1e-6)
    deep = logs([-2000.0, -1000.0, -math.inf, 0.0])
    assert deep[0] < deep[1]
    assert deep[2:].tolist() == [0.0, 1.0]


def test_a_wrong_answer_at_probability_one_is_survived():
    scaling = TemperatureScaling.fit([1.0, 1.0, 0.9, 0.2, 0.0], [1.0, 0.0, 1.0, 0.0, 0.0])
    assert 1 < scaling.temperature < math.inf
    assert scaling([0.0, 1.0]).tolist() == [0.0, 1.0]


def test_platt_minimises_its_cross_entropy():
    """Against Nelder-Mead on the loss itself; scores on a scale of thousands."""
    confidence, correctness = split(100)
    score = 1000 * np.log(confidence) + 5000
    right, wrong = correctness.sum(), (1 - correctness).sum()
    target = correctness * (right + 1) / (right + 2) + (1 - correctness) / (wrong + 2)

    def loss(parameters):
        z = parameters[0] * score / 1000 + parameters[1]
        return (np.logaddexp(0, -z) * target + np.logaddexp(0, z) * (1 - target)).sum()

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000}
    expected = scipy.optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options=options).x
    scaling = PlattScaling.fit(score, correctness)
    assert [scaling.slope * 1000, scaling.intercept] == pytest.approx(expected.tolist(), rel=1e-4)


def test_platt_stays_finite_where_scores_separate():
    scaling = PlattScaling.fit([0.1, 0.2, 0.8, 0.9], [0.0, 0.0, 1.0, 1.0])
    assert 0 < scaling([0.1]).item() < 0.5 < scaling([0.9]).item() < 1


def test_platt_keeps_infinite_scores_at_the_ends():
    finite = PlattScaling.fit([0.1, 0.2, 0.8], [0.0, 0.6, 1.0])
    infinite = PlattScaling.fit([0.1, 0.2, 0.8, math.inf, -math.inf], [0.0, 0.6, 1.0, 0.0, 1.0])
    assert infinite == finite
    assert infinite([-math.inf, math.inf]).tolist() == [0.0, 1.0]


def isotonic_oracle(rows):
    """Max-min formula over distinct scores: the mean of the best run that ends at or after it, of the worst before."""
    levels = sorted({score for score, _ in rows})

    def mean(i, j):
        run = [a for s, a in rows if levels[i] <= s <= levels[j]]
        return sum(run) / len(run)

    n = len(levels)
    return {levels[k]: max(min(mean(i, j) for j in range(k, n)) for i in range(k + 1)) for k in range(n)}


@QUICK
@given(st.lists(st.tuples(SCORES, SOFT), min_size=2, max_size=12))
def test_isotonic_equals_the_max_min_formula(rows):
    try:
        curve = IsotonicCalibration.fit(*columns(rows))
    except DegenerateCalibrationError:
        assume(False)
    for score, expected in isotonic_oracle(rows).items():
        assert curve([score]).item() == pytest.approx(expected, abs=1e-9)


def test_isotonic_takes_tied_rows_as_one():
    curve = IsotonicCalibration.fit([0.2, 0.5, 0.5, 0.5, 0.9], [0.0, 1.0, 0.0, 0.6, 0.3])
    assert curve([0.2, 0.5, 0.9]).tolist() == pytest.approx([0.0, 1.9 / 4, 1.9 / 4])
    assert curve.scores == (0.2, 0.5, 0.9)


def test_isotonic_between_infinite_scores():
    curve = IsotonicCalibration.fit([-math.inf, 0.0, 1.0, math.inf], [0.0, 0.3, 0.6, 1.0])
    assert curve([-math.inf, -9.0, 0.5, 9.0, math.inf]).tolist() == pytest.approx([0.0, 0.3, 0.45, 0.6, 1.0])
    only = IsotonicCalibration.fit([-math.inf, math.inf], [0.0, 0.9])
    assert only([-math.inf, 3.0, math.inf]).tolist() == [0.0, 0.0, 0.9]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("confidence", "correctness", "message"),
    [
        ([-0.5], [0.6], "of several samples but got one"),
        ([-0.5, -0.4], [1.0, 1.0], "all 2 are right"),
        ([-0.5, -0.4, -0.3], [0.0, 0.0, 0.0], "all 3 are wrong"),
        ([-0.5, -0.5], [0.0, 1.0], "all 2 are -0.5"),
    ],
)
def test_degenerate_splits_are_named(name, confidence, correctness, message):
    if name == "temperature":  # probabilities
        confidence, message = [c + 1 for c in confidence], message.replace("-0.5", "0.5")
    with pytest.raises(DegenerateCalibrationError, match=message):
        EVERY[name](confidence, correctness)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PlattScaling.fit([1, 2], [1, 0]), DegenerateCalibrationError, "slope is -.*use another score"),
        (
            lambda: PlattScaling.fit([-math.inf, 1, 1], [0, 1, 0]),
            DegenerateCalibrationError,
            "finite confidences but 2 are finite and differ by 0; use IsotonicCalibration",
        ),
        (
            lambda: TemperatureScaling.fit([0.9, 0.1], [0, 1]),
            DegenerateCalibrationError,
            "order; use PlattScaling or Iso",
        ),
        (lambda: TemperatureScaling.fit([0.9, 0.1], [1, 0]), DegenerateCalibrationError, "overlap but all above .5"),
        (lambda: TemperatureScaling.fit([1.5, 0.1], [1, 0]), ValueError, r"\[0, 1\] .* got 1.5 at index 0; pass score"),
        (
            lambda: TemperatureScaling.fit([0.5, -1], [1, 0], "log_probability"),
            ValueError,
            r"\[-inf, 0\] for score='log_probability' but got 0.5",
        ),
        (lambda: TemperatureScaling(0.0), ValueError, "`temperature`"),
        (lambda: TemperatureScaling(1.0, "logit"), ValueError, "`score` to be one of"),
        (lambda: TemperatureScaling(2.0)([0.5, math.nan]), ValueError, "`confidence` without NaN"),
        (lambda: PlattScaling(-1.0, 0.0), DegenerateCalibrationError, "reverse the order"),
        (lambda: PlattScaling(1.0, math.nan), ValueError, "finite `slope` and `intercept`"),
        (lambda: IsotonicCalibration((0.0, 1.0), (0.5, 0.4)), ValueError, "never fall"),
        (lambda: IsotonicCalibration((0.0, 0.0), (0.5, 0.5)), ValueError, "rising `scores`"),
        (lambda: IsotonicCalibration((), ()), ValueError, "rising `scores`"),
        (lambda: calibrator_from_dict({"kind": "histogram"}), ValueError, "but got 'histogram'"),
        (lambda: calibrator_from_dict({"kind": "platt", "slope": 1.0}), ValueError, "platt calibrator .*'intercept'"),
        (
            lambda: calibrator_from_dict({"kind": "isotonic", "scores": ["x"], "values": [1]}),
            ValueError,
            "number, 'inf' or '-inf' but got 'x'",
        ),
    ],
)
def test_what_cannot_be_used_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
