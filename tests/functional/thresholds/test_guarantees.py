"""The guarantees hold: calibration splits are drawn 1,000 times from populations whose risk is known exactly.

Confidence is uniform on [0, 1] and the mean loss at confidence s is a + b(1 - s), so that answering s >= t has risk
a + b(1 - t)/2 and generalised risk (1 - t) times that.
"""

import numpy as np
import pytest

from lit_vlr.functional import (
    conformal_threshold,
    empirical_threshold,
    learn_then_test_threshold,
    sgr_threshold,
)

N, RESAMPLES, RISK, DELTA = 1000, 1000, 0.1, 0.1
POPULATIONS = {"easy": (0.005, 0.4), "hard": (0.03, 0.4), "just too hard": (0.11, 0.0)}
METHODS = {
    "ltt": lambda c, a: learn_then_test_threshold(c, a, RISK, DELTA),
    "ltt3": lambda c, a: learn_then_test_threshold(c, a, RISK, DELTA, starts=3),
    "sgr": lambda c, a: sgr_threshold(c, a, RISK, DELTA),
    "crc": lambda c, a: conformal_threshold(c, a, RISK),
    "empirical": lambda c, a: empirical_threshold(c, a, RISK),
}


def draw(population, kind, tied):
    """All splits at once, (RESAMPLES, N) each."""
    a, b = POPULATIONS[population]
    generator = np.random.default_rng(0)
    confidence = generator.random((RESAMPLES, N))
    mean_loss = a + b * (1 - confidence)
    if kind == "binary":
        loss = (generator.random(confidence.shape) < mean_loss).astype(float)
    else:  # VQA accuracy's values; their mean is .55, so they come with probability mean_loss / .55
        values = generator.choice([0.1, 0.4, 0.7, 1.0], confidence.shape)
        loss = np.where(generator.random(confidence.shape) < mean_loss / 0.55, values, 0.0)
    return np.floor(confidence * 40) / 40 if tied else confidence, 1 - loss


def thresholds(method, population, kind, tied):
    return np.array([METHODS[method](c, a).threshold for c, a in zip(*draw(population, kind, tied), strict=True)])


def coverage(threshold):
    return np.clip(1 - threshold, 0, 1)  # 0 at +inf


def risk(threshold, population):
    a, b = POPULATIONS[population]
    return np.where(np.isinf(threshold), 0.0, a + b * coverage(threshold) / 2)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize(
    ("method", "kind"), [("ltt", "binary"), ("ltt", "soft"), ("ltt3", "binary"), ("ltt3", "soft"), ("sgr", "binary")]
)
def test_risk_is_controlled_with_probability(method, kind, population, tied):
    chosen = thresholds(method, population, kind, tied)
    violated = (risk(chosen, population) > RISK).mean()
    assert violated <= DELTA
    if population == "easy":  # and not by never answering; 47.5% could be answered at the risk allowed
        assert np.isfinite(chosen).mean() > 0.4
        assert coverage(chosen[np.isfinite(chosen)]).mean() > 0.1


@pytest.mark.parametrize("kind", ["binary", "soft"])
def test_the_same_test_catches_a_threshold_without_guarantee(kind):
    chosen = thresholds("empirical", "easy", kind, tied=False)
    assert (risk(chosen, "easy") > RISK).mean() > 3 * DELTA


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["binary", "soft"])
@pytest.mark.parametrize("population", POPULATIONS)
def test_generalised_risk_is_controlled_in_expectation(population, kind, tied):
    chosen = thresholds("crc", population, kind, tied)
    generalised = coverage(chosen) * risk(chosen, population)
    assert generalised.mean() <= RISK
    if not tied:  # and it is used up: the theorem's lower bound, but for answering from a score and not above the next
        assert generalised.mean() >= RISK - 3 / (N + 1)


def test_conformal_control_is_not_control_of_the_risk_among_the_answered():
    chosen = thresholds("crc", "easy", "binary", tied=False)
    assert (risk(chosen, "easy") > RISK).mean() > 0.99
