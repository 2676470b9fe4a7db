import math

import numpy as np
import pytest
import torch

from lit_vlr.functional import abstention_rate, risk_coverage_curve, selective_accuracy


@pytest.mark.parametrize(
    "abstained", [[True, False, False, False], [1, 0, 0, 0], np.array([1.0, 0, 0, 0]), torch.tensor([1, 0, 0, 0])]
)
def test_abstention_rate(abstained):
    assert abstention_rate(abstained).item() == 0.25


def test_selective_accuracy_ignores_what_abstained_rows_would_have_scored():
    abstained = [False, True, False]
    assert selective_accuracy([1.0, 0.0, 0.6], abstained).item() == pytest.approx(0.8)
    assert selective_accuracy([1.0, 1.0, 0.6], abstained).item() == pytest.approx(0.8)


def test_selective_accuracy_of_nobody_is_undefined():
    assert math.isnan(selective_accuracy([1.0, 0.0], [True, True]).item())


def test_they_are_the_curve_read_at_one_threshold():
    generator = torch.Generator().manual_seed(0)
    confidence, correctness = torch.rand(50, generator=generator), torch.rand(50, generator=generator)
    curve = risk_coverage_curve(confidence, correctness)
    for k in range(0, 50, 7):
        abstained = confidence < curve.threshold[k]
        torch.testing.assert_close(1 - abstention_rate(abstained), curve.coverage[k])
        torch.testing.assert_close(1 - selective_accuracy(correctness, abstained), curve.risk[k])


def test_whole_weights_are_repetitions():
    correctness, abstained, weight = [1.0, 0.3, 0.0], [False, False, True], [1, 2, 3]
    repeated = [1.0, 0.3, 0.3, 0.0, 0.0, 0.0], [False] * 3 + [True] * 3
    assert selective_accuracy(correctness, abstained, weight) == selective_accuracy(*repeated)
    assert abstention_rate(abstained, weight) == abstention_rate(repeated[1])


def test_a_confidence_is_no_decision():
    with pytest.raises(ValueError, match=r"`abstained` to be booleans or 0/1 but got 0\.7 at index 1; .*threshold"):
        abstention_rate([1.0, 0.7])


def test_unequal_columns_are_refused():
    with pytest.raises(ValueError, match=r"`correctness` and `abstained` of one length but got 2 and 1"):
        selective_accuracy([1.0, 0.0], [True])
