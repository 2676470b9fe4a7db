"""What holds for every selective metric, stated once for all of them."""

import math
import random

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lit_vlr.functional import aurc, risk_coverage_curve
from tests.functional._cases import (
    ACCURACIES,
    CALIBRATION,
    EVERY,
    PROBABILITIES,
    PROBABLE_ROWS,
    RANKING,
    ROWS,
    SUMS,
    WHOLE,
)
from tests.functional._cases import columns as split

FEW = settings(max_examples=30, deadline=None)
every = pytest.mark.parametrize("name", EVERY)
WEIGHTED = st.lists(st.tuples(PROBABILITIES, ACCURACIES, st.integers(0, 4), st.booleans()), min_size=1, max_size=8)


def assert_same(name, value, expected):
    atol = 1e-12 if name in SUMS else 0
    torch.testing.assert_close(value, expected, rtol=0, atol=atol, equal_nan=True)


def column(rows, index):
    return [row[index] for row in rows]


@every
@FEW
@given(rows=WEIGHTED, seed=st.integers(0, 99))
def test_row_order_never_matters(name, rows, seed):
    assume(any(column(rows, 2)))
    shuffled = random.Random(seed).sample(rows, len(rows))
    first, second = (
        EVERY[name](*split(order), weight=column(order, 2), abstained=column(order, 3)) for order in (rows, shuffled)
    )
    assert_same(name, first, second)


@pytest.mark.parametrize(("name", "fractions"), [(n, 1) for n in EVERY] + [(n, 3) for n in EVERY if n not in WHOLE])
def test_row_order_never_matters_on_many_ties(name, fractions):
    """Whole weights are summed as integers, fractional ones in one fixed order: the same bits either way."""
    generator = torch.Generator().manual_seed(0)
    confidence = torch.randint(0, 8, (500,), generator=generator) / 7
    correctness = torch.randint(0, 11, (500,), generator=generator) / 10
    weight = torch.randint(0, 4, (500,), generator=generator) / fractions
    order = torch.randperm(500, generator=generator)
    first = EVERY[name](confidence, correctness, weight=weight)
    assert_same(name, first, EVERY[name](confidence[order], correctness[order], weight=weight[order]))


@pytest.mark.parametrize("name", RANKING)
@FEW
@given(rows=ROWS)
def test_monotone_transform_of_confidence_changes_no_ranking(name, rows):
    confidence, correctness = split(rows)
    squashed = [math.tanh(c / 3) for c in confidence]
    torch.testing.assert_close(
        RANKING[name](squashed, correctness), RANKING[name](confidence, correctness), rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("name", CALIBRATION)
def test_monotone_transform_of_confidence_changes_calibration(name):
    """That is what calibration measures: all rows right, sure of it or half sure."""
    sure = CALIBRATION[name]([1.0, 1.0], [1.0, 1.0])
    half = CALIBRATION[name]([0.5, 0.5], [1.0, 1.0])
    assert sure.item() == 0
    assert half.item() >= 0.25


@every
@FEW
@given(rows=WEIGHTED)
def test_whole_weights_are_repetitions(name, rows):
    repeated = [row for row in rows for _ in range(row[2])]
    assume(repeated)
    weighted = EVERY[name](*split(rows), weight=column(rows, 2), abstained=column(rows, 3))
    expected = EVERY[name](*split(repeated), abstained=column(repeated, 3))
    torch.testing.assert_close(weighted, expected, rtol=0, atol=1e-12, equal_nan=True)


@every
@FEW
@given(rows=PROBABLE_ROWS)
def test_nobody_declined_is_the_default(name, rows):
    assert_same(name, EVERY[name](*split(rows), abstained=[False] * len(rows)), EVERY[name](*split(rows)))


@every
@FEW
@given(rows=WEIGHTED)
def test_what_stands_in_a_declined_row_is_ignored(name, rows):
    abstained = column(rows, 3)
    confidence = [0.99 if d else c for c, d in zip(column(rows, 0), abstained, strict=True)]
    correctness = [1.0 - a if d else a for a, d in zip(column(rows, 1), abstained, strict=True)]
    first = EVERY[name](*split(rows), abstained=abstained)
    assert_same(name, EVERY[name](confidence, correctness, abstained=abstained), first)


def test_huge_and_tiny_weights_and_losses_survive_exact_sums():
    """Sums of whole weights are integers scaled by a power of two that a float has to hold."""
    assert aurc([0.9, 0.1], [1 - 2**-50, 1.0]).item() == pytest.approx(0.75 * 2**-50)
    assert risk_coverage_curve([0.9, 0.1], [0.0, 1.0], weight=[2.0**52, 2.0**52]).risk.tolist() == [1.0, 0.5]
    assert risk_coverage_curve([0.9], [1.0], weight=[5.0]).risk.tolist() == [0.0]
