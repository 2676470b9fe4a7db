"""Losses that teach when not to answer: originals' values, plain loops, limits, gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as TF

from lit_vlr.functional import deep_gamblers_loss, selector_loss, self_adaptive_loss, self_adaptive_target
from tests.functional._cases import GOLDEN
from tests.oracles import abstain_losses as oracle

LOSSES = GOLDEN["losses"]
QUICK = settings(max_examples=60, deadline=None)
LOGIT, SHARE = st.floats(-8, 8), st.floats(0, 1)
ROWS = st.lists(st.tuples(LOGIT, LOGIT, LOGIT, LOGIT, st.integers(0, 2), SHARE), min_size=1, max_size=4)


def tensors(rows, abstain=3):
    """Logits, labels (moved past the abstaining column) and shares, float64."""
    labels = torch.tensor([row[4] + (row[4] >= abstain) for row in rows])
    logits = torch.tensor([row[:4] for row in rows], dtype=torch.float64)
    return logits, labels, torch.tensor([row[5] for row in rows], dtype=torch.float64)


def test_selector_golden():
    """The original has two independent outputs; at complementary ones its loss is this value."""
    case = LOSSES["selector_bce_sum_over_two_classes"]
    p = torch.tensor(case["p"], dtype=torch.float64)
    loss = selector_loss(torch.stack([p.logit(), (1 - p).logit()], 1), torch.tensor(case["correctness"]).double())
    assert loss.mean().item() == pytest.approx(case["value"], abs=1e-6)


def test_deep_gamblers_golden():
    case = LOSSES["deep_gamblers"]
    logits = torch.tensor(case["logits_last_column_is_abstain"]).double()
    loss = deep_gamblers_loss(logits, torch.tensor(case["y"]), case["o"])
    assert loss.mean().item() == pytest.approx(case["value"], abs=1e-4)


def test_self_adaptive_training_golden():
    case = LOSSES["self_adaptive_training_first_step"]
    logits, labels = torch.tensor(case["logits_last_column_is_abstain"]).double(), torch.tensor(case["y"])
    target = self_adaptive_target(torch.ones(2), logits, labels, case["momentum"])
    assert self_adaptive_loss(logits, labels, target).mean().item() == pytest.approx(case["value"], abs=1e-4)


@QUICK
@given(rows=ROWS, abstain=st.integers(0, 3), payoff=st.floats(1.01, 20), momentum=SHARE)
def test_every_loss_is_its_plain_loop(rows, abstain, payoff, momentum):
    logits, labels, share = tensors(rows, abstain)
    columns = list(zip(logits.tolist(), labels.tolist(), share.tolist(), strict=True))
    for found, expected in (
        (selector_loss(logits[:, :2], share), [oracle.selector(z[:2], t) for z, _, t in columns]),
        (
            deep_gamblers_loss(logits, labels, payoff, abstain),
            [oracle.deep_gamblers(z, y, payoff, abstain) for z, y, _ in columns],
        ),
        (
            self_adaptive_target(share, logits, labels, momentum, abstain),
            [oracle.self_adaptive_target(t, z, y, momentum, abstain) for z, y, t in columns],
        ),
        (
            self_adaptive_loss(logits, labels, share, abstain),
            [oracle.self_adaptive(z, y, t, abstain) for z, y, t in columns],
        ),
    ):
        assert found.tolist() == pytest.approx(expected, abs=1e-9)


@QUICK
@given(rows=ROWS)
def test_limits_are_cross_entropy(rows):
    logits, labels, share = tensors(rows)
    expected = TF.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(self_adaptive_loss(logits, labels, torch.ones_like(share)), expected)
    no_abstaining = torch.cat([logits[:, :3], torch.full_like(logits[:, 3:], -1e9)], 1)
    plain = TF.cross_entropy(logits[:, :3], labels, reduction="none")
    torch.testing.assert_close(deep_gamblers_loss(no_abstaining, labels), plain)
    torch.testing.assert_close(deep_gamblers_loss(logits, labels, 1e15), expected, atol=1e-6, rtol=0)


@QUICK
@given(rows=ROWS, shift=st.floats(-100, 100))
def test_a_shift_of_the_logits_changes_nothing(rows, shift):
    """Code that takes the sum of softmax times logits for an entropy fails this."""
    logits, labels, share = tensors(rows)
    for function in (
        lambda z: deep_gamblers_loss(z, labels),
        lambda z: self_adaptive_loss(z, labels, share),
        lambda z: self_adaptive_target(share, z, labels),
    ):
        torch.testing.assert_close(function(logits + shift), function(logits))


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels, share = torch.tensor([0, 1, 2, 0, 1]), torch.rand(5, generator=generator, dtype=torch.float64)
    for function in (
        lambda z: selector_loss(z[:, :2], share),
        lambda z: deep_gamblers_loss(z, labels),
        lambda z: self_adaptive_loss(z, labels, share),
    ):
        assert torch.autograd.gradcheck(function, (logits,))
    assert not self_adaptive_target(share, logits, labels).requires_grad
    # Soft correctness may come with a graph: a selector must not move the answers that it judges.
    judged = share.clone().requires_grad_()
    selector_loss(logits[:, :2], judged).sum().backward()
    assert judged.grad is None


def test_the_selectors_least_loss_is_at_the_soft_correctness():
    a = torch.tensor([0.3], dtype=torch.float64)
    best = selector_loss(torch.stack([a.logit(), (1 - a).logit()], 1), a)
    entropy = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7))
    assert best.item() == pytest.approx(2 * entropy)
    for p in (0.1, 0.29, 0.31, 0.9):
        q = torch.tensor([p], dtype=torch.float64)
        assert selector_loss(torch.stack([q.logit(), (1 - q).logit()], 1), a) > best


@pytest.mark.parametrize(("n_answers", "abstains"), [(2, False), (3, True)])
def test_the_gambler_keeps_back_where_no_answer_is_likelier_than_one_over_the_payoff(n_answers, abstains):
    """Answers equally likely, 1/2 or 1/3, and a payoff of 2.2: 1/2 > 1/2.2 > 1/3."""
    kept = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    bets = torch.cat([((1 - kept) / n_answers).expand(n_answers), kept[None]])
    rows, labels = bets.log().expand(n_answers, -1), torch.arange(n_answers)
    (slope,) = torch.autograd.grad(deep_gamblers_loss(rows, labels, 2.2).mean(), kept)
    assert bool(slope < 0) == abstains


def test_half_precision_is_computed_in_float32():
    logits, labels = torch.tensor([[3.0, -2.0, 0.5]]), torch.tensor([0])
    for function in (
        lambda z: deep_gamblers_loss(z, labels),
        lambda z: self_adaptive_loss(z, labels, torch.tensor([0.5])),
        lambda z: selector_loss(z[:, :2], torch.tensor([0.5])),
    ):
        assert function(logits.bfloat16()).dtype == torch.float32
        torch.testing.assert_close(function(logits.bfloat16()), function(logits))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: selector_loss(torch.zeros(2, 3), torch.zeros(2)), ValueError, r"shape \(B, 2\), right and wrong"),
        (lambda: selector_loss(torch.zeros(2, 2), torch.tensor([0.0, 1.5])), ValueError, "1.5 at index 1"),
        (lambda: selector_loss(torch.zeros(2, 2), torch.tensor([math.nan, 1])), ValueError, "nan at index 0"),
        (lambda: selector_loss(torch.zeros(2, 2), torch.zeros(3)), ValueError, r"shape \(2,\) but got \(3,\)"),
        (lambda: selector_loss(torch.zeros(2, 2).long(), torch.zeros(2)), TypeError, "floating-point tensor"),
        (lambda: selector_loss(torch.zeros(0, 2), torch.zeros(0)), ValueError, "with B >= 1"),
        (lambda: deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([2])), ValueError, "other than the abstaining 2"),
        (lambda: deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([3])), ValueError, "but got 3 at index 0"),
        (lambda: deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([-100])), ValueError, "but got -100 at index 0"),
        (lambda: deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([0.0])), ValueError, "whole numbers of shape"),
        (lambda: deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([0]), 1.0), ValueError, r"`payoff` in \(1"),
        (lambda: deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([0]), abstain=3), ValueError, "one of 3 columns"),
        (lambda: self_adaptive_loss(torch.zeros(1, 3), torch.tensor([0]), torch.tensor([2.0])), ValueError, "`target`"),
        (
            lambda: self_adaptive_target(torch.ones(1), torch.zeros(1, 3), torch.tensor([0]), 1.5),
            ValueError,
            "`momentum`",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
