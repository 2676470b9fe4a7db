import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lit_vlr.functional import augrc, auroc, excess_augrc
from tests.functional._cases import GOLDEN, ROWS, columns
from tests.oracles import selective as oracle

QUICK = settings(max_examples=60, deadline=None)
A = GOLDEN["A"]


def test_golden():
    """r = .4 of the rows are wrong: AUROC = 1 - (AUGRC - r^2/2) / (r (1 - r))."""
    excess = A["augrc"] - A["augrc_optimum"]
    assert excess_augrc(A["confidence"], A["correctness"]).item() == pytest.approx(excess, abs=1e-6)
    assert auroc(A["confidence"], A["correctness"]).item() == pytest.approx(1 - excess / 0.24, abs=1e-6)


@QUICK
@given(ROWS)
def test_auroc_equals_oracle(rows):
    value = auroc(*columns(rows)).item()
    assert value == pytest.approx(oracle.auroc(*columns(rows)), abs=1e-12, nan_ok=True)


def test_auroc_equals_scikit_learn_on_rows_split_in_two():
    generator = np.random.default_rng(0)
    confidence, correctness = generator.integers(0, 40, 300) / 40, generator.integers(0, 11, 300) / 10
    weight = generator.random(300)
    right, wrong = weight * correctness, weight * (1 - correctness)
    expected = roc_auc_score(
        np.repeat([1, 0], 300), np.tile(confidence, 2), sample_weight=np.concatenate([right, wrong])
    )
    assert auroc(confidence, correctness, weight).item() == pytest.approx(expected, abs=1e-12)
    binary = correctness > 0.5
    assert auroc(confidence, binary).item() == pytest.approx(roc_auc_score(binary, confidence), abs=1e-12)


@QUICK
@given(ROWS)
def test_auroc_and_augrc_are_one_thing_at_a_given_accuracy(rows):
    confidence, correctness = columns(rows)
    risk = 1 - np.mean(correctness)
    value = auroc(confidence, correctness).item()
    if math.isnan(value):
        assert risk in (0, 1)
    else:
        expected = risk * (1 - risk) * (1 - value) + risk**2 / 2
        assert augrc(confidence, correctness).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_auroc_without_a_pair_is_undefined(accuracy):
    assert math.isnan(auroc([0.9, 0.5], [accuracy] * 2).item())


def test_auroc_at_its_ends():
    assert auroc([0.9, 0.5], [1.0, 0.0]).item() == 1.0
    assert auroc([0.9, 0.5], [0.0, 1.0]).item() == 0.0
    assert auroc([0.5, 0.5], [0.0, 1.0]).item() == 0.5
    assert auroc([0.7], [0.3]).item() == 0.5  # a row ties with itself


@QUICK
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.0, 0.3, 1.0])), min_size=1, max_size=5))
def test_excess_augrc_equals_oracle(rows):
    confidence, correctness = columns(rows)
    expected = oracle.augrc(confidence, correctness) - oracle.best_augrc(correctness)
    value = excess_augrc(confidence, correctness).item()
    assert value == pytest.approx(expected, abs=1e-12)
    assert value >= 0


def test_excess_augrc_is_zero_for_the_best_order_and_largest_for_the_worst():
    correctness = torch.tensor([1.0, 1.0, 0.6, 0.3, 0.0])
    assert excess_augrc(correctness, correctness).item() == 0.0
    assert excess_augrc([2.0, 1.0], [0.0, 1.0]).item() == 0.25
