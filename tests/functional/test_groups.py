import math
from functools import partial

import numpy as np
import pytest
import torch

from lit_vlr.functional import aurc, by_group, coverage_at_risk, prediction_rejection_ratio, risk_at_coverage

CONFIDENCE = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
CORRECTNESS = torch.tensor([1.0, 0.0, 0.6, 1.0, 0.0, 0.3])
GROUP = ["b", "a", "b", "a", "c", "c"]


def rows(label):
    return torch.tensor([name == label for name in GROUP])


def test_values_are_those_of_the_rows_alone():
    result = by_group(aurc, CONFIDENCE, CORRECTNESS, GROUP, higher_is_better=False)
    assert list(result.values) == ["a", "b", "c"]
    for label, value in result.values.items():
        assert value == aurc(CONFIDENCE[rows(label)], CORRECTNESS[rows(label)])
    assert result.worst_group == "c"
    assert result.worst == max(result.values.values())


def test_direction_decides_which_is_worst():
    coverage = partial(coverage_at_risk, max_risk=0.5)
    assert by_group(coverage, CONFIDENCE, CORRECTNESS, GROUP, higher_is_better=True).worst_group == "c"
    # Both a and b reach full coverage; among equals the first label wins.
    assert by_group(coverage, CONFIDENCE, CORRECTNESS, GROUP, higher_is_better=False).worst_group == "a"


def test_weights_and_declined_rows_go_with_their_group():
    weight, abstained = torch.tensor([1, 2, 3, 1, 2, 3]), torch.tensor([0, 0, 1, 0, 1, 0])
    result = by_group(aurc, CONFIDENCE, CORRECTNESS, GROUP, higher_is_better=False, weight=weight, abstained=abstained)
    for label, value in result.values.items():
        picked = [column[rows(label)] for column in (CONFIDENCE, CORRECTNESS, weight, abstained)]
        assert value == aurc(picked[0], picked[1], weight=picked[2], abstained=picked[3])


@pytest.mark.parametrize("group", [np.array([1, 0, 1, 0, 2, 2]), torch.tensor([1, 0, 1, 0, 2, 2]), [1, 0, 1, 0, 2, 2]])
def test_labels_may_be_numbers(group):
    result = by_group(aurc, CONFIDENCE, CORRECTNESS, group, higher_is_better=False)
    assert list(result.values) == [0, 1, 2]
    assert result.worst_group == 2


def test_one_group_is_the_whole():
    result = by_group(aurc, CONFIDENCE, CORRECTNESS, ["all"] * 6, higher_is_better=False)
    assert result.worst == aurc(CONFIDENCE, CORRECTNESS)


def test_an_undefined_group_is_the_worst_in_either_direction():
    ratio = by_group(
        prediction_rejection_ratio,
        [0.9, 0.8, 0.7, 0.6],
        [1.0, 0.0, 1.0, 1.0],
        ["x", "x", "y", "y"],
        higher_is_better=True,
    )
    assert ratio.worst_group == "y"
    assert math.isnan(ratio.worst.item())
    risk = partial(risk_at_coverage, coverage=1.0)
    abstained = [0, 0, 0, 1, 0, 0]
    result = by_group(risk, CONFIDENCE, CORRECTNESS, GROUP, higher_is_better=False, abstained=abstained)
    assert result.worst_group == "a"
    assert math.isnan(result.worst.item())


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (["a"], r"`group` of shape \(2,\), one label a row, but got \(1,\)"),
        ([0.5, 1.5], "`group` to hold strings or whole numbers but got float64"),
        ([None, "a"], "`group` to hold strings or whole numbers but got object"),
    ],
)
def test_wrong_labels_are_refused(group, message):
    with pytest.raises(ValueError, match=message):
        by_group(aurc, [0.9, 0.5], [1.0, 0.0], group, higher_is_better=False)


def test_a_group_of_no_weight_is_refused():
    with pytest.raises(ValueError, match="`weight` with at least one positive value"):
        by_group(aurc, [0.9, 0.5], [1.0, 0.0], ["a", "b"], higher_is_better=False, weight=[1, 0])
