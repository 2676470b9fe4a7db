import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import binomial_upper_bound, hoeffding_bentkus_p_value, minimum_without_error
from tests.oracles import thresholds as oracle

QUICK = settings(max_examples=80, deadline=None)
COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
DELTAS = st.sampled_from([0.001, 0.05, 0.1, 0.5])
RISKS = st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.9])


def test_thirteen_of_forty_five_errors():
    """Truncating 45 * (13 / 45) = 12.999… to 12 errors gives .5047."""
    assert binomial_upper_bound(13, 45, 0.001) == pytest.approx(0.5281, abs=5e-5)
    assert binomial_upper_bound(12, 45, 0.001) == pytest.approx(0.5047, abs=5e-5)


@QUICK
@given(COUNTS, DELTAS)
def test_upper_bound_equals_scipy_and_the_definition(counts, delta):
    errors, n = counts
    bound = binomial_upper_bound(errors, n, delta)
    test = scipy.stats.binomtest(errors, n, alternative="less")
    assert bound == pytest.approx(test.proportion_ci(1 - delta, method="exact").high, abs=1e-9)
    assert bound == pytest.approx(oracle.binomial_upper_bound(errors, n, delta), abs=1e-9)


@QUICK
@given(COUNTS, st.floats(0, 0.999), RISKS, st.booleans())
def test_p_value_equals_oracle(counts, fraction, risk, binary):
    errors, n = counts
    losses = [1.0] * errors + [0.0] * (n - errors)
    if not binary and errors < n:
        losses[errors] = fraction
    (p,) = hoeffding_bentkus_p_value([sum(losses)], [n], risk, binary=binary)
    assert p == pytest.approx(oracle.p_value(losses, risk, binary), rel=1e-9, abs=1e-15)
    assert 0 <= p <= 1


def test_p_value_of_binary_losses_is_that_of_scipy():
    p = hoeffding_bentkus_p_value(np.arange(5.0), [50] * 5, 0.1, binary=True)
    expected = [scipy.stats.binomtest(k, 50, 0.1, alternative="less").pvalue for k in range(5)]
    np.testing.assert_allclose(p, expected, rtol=1e-12)


def test_both_bounds_can_be_the_smaller_one():
    """So that neither branch of the minimum is dead."""
    bentkus = math.e * scipy.stats.binom.cdf(15, 200, 0.1)
    (many,) = hoeffding_bentkus_p_value([15.0], [200], 0.1)
    (none,) = hoeffding_bentkus_p_value([0.0], [29], 0.1)
    assert many == pytest.approx(bentkus)
    assert none == pytest.approx(0.9**29)
    assert none < math.e * 0.9**29


def test_no_evidence_is_a_p_value_of_one():
    assert hoeffding_bentkus_p_value([5.0, 9.0], [50, 50], 0.1).tolist() == [1.0, 1.0]


def test_a_risk_of_one_cannot_be_exceeded():
    assert hoeffding_bentkus_p_value([3.0], [3], 1.0).tolist() == [0.0]


def test_float32_accuracies_do_not_cost_an_error():
    """Ten times 1 - .9 in float32 is 1.0000002: one error."""
    total = float((1 - np.full(10, 0.9, np.float32).astype(np.float64)).sum())
    assert total > 1
    noisy, one, two = hoeffding_bentkus_p_value([total, 1.0, 2.0], [400] * 3, 0.1, binary=True)
    assert noisy == one < two


@pytest.mark.parametrize(("risk", "expected"), [(0.01, 299), (0.05, 59), (0.1, 29), (0.2, 14), (1.0, 1)])
def test_minimum_without_error(risk, expected):
    assert minimum_without_error(risk, 0.05) == expected


@QUICK
@given(st.floats(0.005, 0.9), DELTAS)
def test_minimum_is_the_first_that_suffices(risk, delta):
    least = minimum_without_error(risk, delta)
    assert (1 - risk) ** least <= delta * (1 + 1e-6)
    assert least == 1 or (1 - risk) ** (least - 1) > delta * (1 - 1e-6)


def test_minimum_on_the_boundary():
    assert minimum_without_error(0.5, 0.125) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binomial_upper_bound(13.5, 45, 0.05), "whole counts .* got 13.5 of 45; pass counts"),
        (lambda: binomial_upper_bound(5, 4, 0.05), "got 5 of 4"),
        (lambda: binomial_upper_bound(0, 0, 0.05), "got 0 of 0"),
        (lambda: binomial_upper_bound(0, 4, 0.0), r"`delta` in \(0, 1\) but got 0"),
        (lambda: minimum_without_error(0.1, 1.0), r"`delta` in \(0, 1\) but got 1"),
        (lambda: minimum_without_error(0.1, math.nan), r"`delta` in \(0, 1\) but got nan"),
        (lambda: minimum_without_error(0.0, 0.05), r"`max_risk` in \(0, 1\] but got 0; no number of questions"),
        (lambda: hoeffding_bentkus_p_value([0.0], [1], 1.5), r"`max_risk` in \(0, 1\] but got 1.5"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
