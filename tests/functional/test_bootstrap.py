import math

import numpy as np
import pytest
import torch

from lit_vlr.functional import aurc, group_bootstrap, paired_difference
from tests.oracles import bootstrap as oracle
from tests.oracles import selective


def data(n_rows=40, n_groups=12, seed=0):
    generator = np.random.default_rng(seed)
    groups = [f"image_{g:02d}" for g in generator.integers(n_groups, size=n_rows)]
    return generator.integers(0, 50, n_rows) / 50, generator.integers(0, 11, n_rows) / 10, groups


def mean(values):
    return sum(values) / len(values)


def test_mean_equals_oracle():
    _, correctness, groups = data()
    interval = group_bootstrap("mean", correctness, groups=groups, n_resamples=200, seed=3)
    expected = oracle.distribution(mean, [correctness], groups, 200, seed=3)
    assert interval.value == pytest.approx(mean(correctness))
    assert interval.low == pytest.approx(np.quantile(expected, 0.025))
    assert interval.high == pytest.approx(np.quantile(expected, 0.975))


def test_function_of_two_columns_equals_oracle():
    confidence, correctness, _ = data(n_rows=6)
    groups = ["a", "b", "c", "b", "c", "a"]
    interval = group_bootstrap(aurc, confidence, correctness, groups=groups, n_resamples=20, level=0.8, seed=1)
    # Rows of a group drawn twice tie with themselves; the oracle runs through their orders.
    expected = oracle.distribution(
        lambda c, a: selective.aurc(c, a, "mean"), [confidence, correctness], groups, 20, seed=1
    )
    assert interval.low == pytest.approx(np.quantile(expected, 0.1))
    assert interval.high == pytest.approx(np.quantile(expected, 0.9))


def test_fast_mean_and_function_agree():
    _, correctness, groups = data(200, 60)
    fast = group_bootstrap("mean", correctness, groups=groups, n_resamples=300)
    slow = group_bootstrap(np.mean, correctness, groups=groups, n_resamples=300)
    assert fast == pytest.approx(slow)


def test_more_draws_than_fit_in_memory_at_once_change_nothing(monkeypatch):
    _, correctness, groups = data()
    whole = group_bootstrap("mean", correctness, groups=groups, n_resamples=50)
    monkeypatch.setattr("lit_vlr.functional.bootstrap._DRAWS_AT_ONCE", 30)
    assert group_bootstrap("mean", correctness, groups=groups, n_resamples=50) == pytest.approx(whole, abs=1e-12)


def test_row_order_and_container_change_nothing():
    _, correctness, groups = data()
    order = np.random.default_rng(5).permutation(len(groups))
    shuffled = [groups[i] for i in order]
    expected = group_bootstrap("mean", correctness, groups=groups)
    assert group_bootstrap("mean", correctness[order], groups=shuffled) == pytest.approx(expected)
    numbered = torch.tensor([int(group[-2:]) for group in groups])
    assert group_bootstrap("mean", torch.tensor(correctness), groups=numbered) == pytest.approx(expected)


def test_seed_decides():
    _, correctness, groups = data()
    first = group_bootstrap("mean", correctness, groups=groups, seed=1)
    assert first == group_bootstrap("mean", correctness, groups=groups, seed=1)
    assert first != group_bootstrap("mean", correctness, groups=groups, seed=2)


def test_groups_widen_the_interval_of_rows_that_agree():
    """Ten identical rows a picture carry the information of one: the interval is that of the pictures."""
    per_picture = np.random.default_rng(0).integers(0, 2, 50).astype(float)
    rows, pictures = np.repeat(per_picture, 10), np.repeat(np.arange(50), 10)
    grouped = group_bootstrap("mean", rows, groups=pictures)
    alone = group_bootstrap("mean", per_picture, groups=np.arange(50))
    naive = group_bootstrap("mean", rows, groups=np.arange(500))
    assert grouped == pytest.approx(alone)
    assert grouped.high - grouped.low > 2 * (naive.high - naive.low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for repeat in range(200):
        effect = generator.normal(size=60).repeat(3) + generator.normal(size=180)
        low, high = group_bootstrap("mean", effect, groups=np.arange(60).repeat(3), n_resamples=300, seed=repeat)[1:]
        hits += low <= 0 <= high
    assert 0.89 <= hits / 200 <= 0.985  # 0.95 +- 3 standard errors, percentile intervals being a little short


def test_undefined_spread_is_nan_and_never_zero():
    assert group_bootstrap("mean", [1.0, 0.0], groups=["a", "a"])[0] == 0.5
    assert all(math.isnan(end) for end in group_bootstrap("mean", [1.0, 0.0], groups=["a", "a"])[1:])
    sometimes = group_bootstrap(
        lambda x: x.mean() if x.any() else math.nan, [1.0, 0.0, 0.0], groups=["a", "b", "c"], n_resamples=100
    )
    assert math.isnan(sometimes.low)


def test_paired_difference_equals_oracle_on_aligned_rows():
    _, first, groups = data(seed=0)
    _, second, _ = data(seed=1)
    uids = [f"q{i}" for i in range(len(groups))]
    order = np.random.default_rng(2).permutation(len(groups))
    result = paired_difference(
        "mean",
        [first],
        [second[order]],
        first_uids=uids,
        second_uids=[uids[i] for i in order],
        groups=groups,
        n_resamples=200,
        seed=4,
    )
    differences = oracle.distribution(lambda a, b: mean(a) - mean(b), [first, second], groups, 200, seed=4)
    assert result.value == pytest.approx(mean(first) - mean(second))
    assert result.low == pytest.approx(np.quantile(differences, 0.025))
    assert result.high == pytest.approx(np.quantile(differences, 0.975))
    # The two means of a resample may differ by rounding where they are equal: that is no difference.
    below, above = sum(d <= 1e-9 for d in differences), sum(d >= -1e-9 for d in differences)
    assert result.p_value == pytest.approx(min(1.0, 2 * (1 + min(below, above)) / 201))


def paired(first, second, **kwargs):
    uids = [str(i) for i in range(len(first))]
    options = {"groups": uids, "first_uids": uids, "second_uids": uids} | kwargs
    return paired_difference("mean", [first], [second], **options)


def test_equal_predictions_do_not_differ():
    accuracy = np.random.default_rng(0).integers(0, 11, 30) / 10
    assert paired(accuracy, accuracy) == (0.0, 0.0, 0.0, 1.0)


def test_clear_differences_are_significant_and_swap_sign():
    generator = np.random.default_rng(0)
    base = generator.random(80) / 2
    better, worse = paired(base + 0.2, base), paired(base, base + 0.2)
    assert better[:3] == pytest.approx((0.2, 0.2, 0.2))
    assert better.p_value == pytest.approx(2 / 1001)
    assert worse.p_value == better.p_value
    assert worse.value == pytest.approx(-0.2)


def test_pairing_is_narrower_than_two_intervals():
    generator = np.random.default_rng(0)
    hard = generator.random(100)
    noise = generator.normal(scale=0.01, size=100)
    result = paired(hard + noise, hard)
    single = group_bootstrap("mean", hard, groups=range(100))
    assert result.high - result.low < 0.2 * (single.high - single.low)


def test_paired_function_of_two_columns():
    confidence, correctness, groups = data()
    uids = [str(i) for i in range(len(groups))]
    result = paired_difference(
        aurc,
        [confidence, correctness],
        [correctness, correctness],
        first_uids=uids,
        second_uids=uids,
        groups=groups,
        n_resamples=50,
    )
    assert result.value == pytest.approx((aurc(confidence, correctness) - aurc(correctness, correctness)).item())
    assert result.low > 0  # no order beats the oracle on any resample
    assert result.p_value == pytest.approx(2 / 51)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: group_bootstrap("mean", groups=[]), r"at least one column with at least one row"),
        (lambda: group_bootstrap("mean", [1.0], [2.0], groups=["a"]), r"single column .* for statistic 'mean'"),
        (lambda: group_bootstrap(np.mean, [1.0], [2.0, 3.0], groups=["a"]), r"one length but got \[1, 2\]"),
        (lambda: group_bootstrap("mean", [1.0, 0.0], groups=["a"]), r"`groups` of shape \(2,\).* but got \(1,\)"),
        (lambda: group_bootstrap("median", [1.0], groups=["a"]), r"`statistic` to be a function or 'mean' but got 'm"),
        (lambda: group_bootstrap("mean", [1.0], groups=["a"], n_resamples=0), r"`n_resamples` of at least 1 but got 0"),
        (lambda: group_bootstrap("mean", [1.0, math.nan], groups=["a", "b"]), r"without NaN .* but got one at index 1"),
        (lambda: group_bootstrap("mean", [1.0], groups=["a"], level=95), r"`level` in \(0, 1\) but got 95"),
        (
            lambda: paired([1.0], [1.0], second_uids=["x"]),
            r"`second_uids` for exactly the ids of `first_uids` but got 1 \('0'\) missing and 1 \('x'\) too",
        ),
        (
            lambda: paired([1.0, 0.0], [1.0, 0.0], first_uids=["x", "x"]),
            r"each id of `first_uids` once but got 1 \('x'\) more than once",
        ),
        (lambda: paired([1.0], [1.0, 0.0]), r"`second_uids` of length 2, one a row, but got 1"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sets_of_different_columns_are_refused():
    with pytest.raises(ValueError, match="as many columns but got 2 and 1"):
        paired_difference(aurc, [[1.0], [1.0]], [[1.0]], first_uids=["a"], second_uids=["a"], groups=["a"])
