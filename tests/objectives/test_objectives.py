"""Objectives of selective prediction against plain loops, their limits, and what they remember."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from lit_vlr.confidence import SequenceProbability
from lit_vlr.errors import UserError
from lit_vlr.functional import augrc, aurc
from lit_vlr.objectives import (
    IDK,
    SFT,
    AbstainingObjective,
    AUGRCObjective,
    AURCObjective,
    DeepGamblers,
    EntropyRegularization,
    LabelSmoothing,
    SelfAdaptive,
)
from lit_vlr.objectives.rank_weighted import greedy_log_probability
from tests.objectives._outputs import ABSTAINS, Pieces, Tokens, output
from tests.oracles import abstain_losses as oracle

LENGTHS = [1, 3, 2, 2]
OF_CROSS_ENTROPY = {"risk": "cross_entropy", "anchor": 0.0, "after": 0}


def prepared(objective):
    objective.prepare(Tokens(), SequenceProbability())
    return objective


def smoothed(amount=0.0):
    with pytest.warns(UserWarning, match="worse guide to abstention") if amount else _nothing():
        return LabelSmoothing(amount)


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def by_loop(made, first, rest=lambda p, y: -math.log(p[y])):
    """The mean over each sample's tokens, the first of which has a loss of its own."""
    found, seen = [], set()
    rows = made.answer_rows.tolist()
    for row in sorted(set(rows)):
        losses = []
        for i in [i for i, r in enumerate(rows) if r == row]:
            logits, label = made.answer_logits[i].tolist(), int(made.answer_labels[i])
            losses.append(first(logits, label) if row not in seen else rest(oracle.softmax(logits), label))
            seen.add(row)
        found.append(sum(losses) / len(losses))
    return found


def cross_entropy(logits, label):
    return -math.log(oracle.softmax(logits)[label])


def idk(logits, label, mass=0.5, guard=1.0):
    p = oracle.softmax(logits)
    best = max(q for i, q in enumerate(p) if i != ABSTAINS)
    moved = mass * (1 - p[label] / best)
    loss = -(1 - moved) * math.log(p[label]) - moved * math.log(p[ABSTAINS])
    return loss - guard * math.log(1 - p[ABSTAINS]) if p[label] == best else loss


@pytest.mark.parametrize(
    ("objective", "first"),
    [
        (DeepGamblers(2.2, after=0), lambda z, y: oracle.deep_gamblers(z, y, 2.2, ABSTAINS)),
        (
            SelfAdaptive(0.8, after=0),
            lambda z, y: oracle.self_adaptive(z, y, oracle.self_adaptive_target(1.0, z, y, 0.8, ABSTAINS), ABSTAINS),
        ),
        (IDK(after=0), idk),
    ],
    ids=["deep_gamblers", "self_adaptive", "idk"],
)
def test_the_first_token_may_abstain_and_the_rest_is_cross_entropy(objective, first) -> None:
    made, batch = output(LENGTHS)
    found = prepared(objective)(made, batch)
    assert found.tolist() == pytest.approx(by_loop(made, first), rel=1e-5)
    assert found.tolist() != pytest.approx(SFT()(made, batch).tolist(), rel=1e-3)
    # Where the annotators say it, it is an answer like any other.
    labels = [*made.answer_labels.tolist()]
    labels[0] = labels[4] = ABSTAINS
    made = replace(made, answer_labels=torch.tensor(labels))
    expected = by_loop(made, lambda z, y: cross_entropy(z, y) if y == ABSTAINS else first(z, y))
    objective = prepared(type(objective)(objective.momentum, after=0) if hasattr(objective, "momentum") else objective)
    assert objective(made, batch).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DeepGamblers(1e12, after=0),
        lambda: SelfAdaptive(1.0, after=0),
        lambda: IDK(0.0, 0.0, after=0),
        lambda: DeepGamblers(after=5),
        lambda: SelfAdaptive(after=5),
        lambda: IDK(after=5),
        lambda: EntropyRegularization(0.0),
        smoothed,
    ],
)
def test_every_objective_has_cross_entropy_as_its_limit(make) -> None:
    made, batch = output(LENGTHS)
    made.answer_logits.requires_grad_()
    objective = prepared(make())
    losses = objective(made, batch), SFT()(made, batch)
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)
    grads = [torch.autograd.grad(loss.sum(), made.answer_logits, retain_graph=True)[0] for loss in losses]
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DeepGamblers(after=0),
        lambda: SelfAdaptive(after=0).eval(),
        lambda: EntropyRegularization(0.3),
        lambda: smoothed(0.2),
        lambda: AURCObjective(**OF_CROSS_ENTROPY),
        lambda: AUGRCObjective(**OF_CROSS_ENTROPY),
    ],
)
def test_gradients_match_finite_differences(make) -> None:
    """Float32 in the objective; so a difference of 1e-3 in float32 logits, and a tolerance to match."""
    objective = prepared(make())
    made, batch = output([1, 2, 2])
    logits = made.answer_logits.clone().requires_grad_()
    (grad,) = torch.autograd.grad(objective(replace(made, answer_logits=logits), batch).sum(), logits)
    weights = by_rank(objective, made) if isinstance(objective, AURCObjective | AUGRCObjective) else None
    for index in ((0, 1), (1, 6), (2, 3), (4, 0)):
        values = []
        for step in (1e-2, -1e-2):
            moved = made.answer_logits.clone()
            moved[index] += step
            at = replace(made, answer_logits=moved)
            loss = objective(at, batch) if weights is None else weights * SFT()(at, batch)  # ranks are constants
            values.append(float(loss.double().sum()))
        assert float(grad[index]) == pytest.approx((values[0] - values[1]) / 2e-2, abs=2e-3)


def by_rank(objective, made):
    n = int(made.answer_rows.max()) + 1
    return objective.weights(greedy_log_probability(made, n)).float()


def test_nothing_moves_the_model_through_what_is_believed_or_guarded_against() -> None:
    """λ of [IDK] is a constant: its gradient is that of the loss at fixed λ."""
    made, batch = output([1])
    logits = made.answer_logits.clone().requires_grad_()
    label = int(made.answer_labels[0])
    (grad,) = torch.autograd.grad(
        prepared(IDK(0.5, 0.0, after=0))(replace(made, answer_logits=logits), batch).sum(), logits
    )
    p = logits.detach().softmax(-1)[0]
    best = p[[i for i in range(7) if i != ABSTAINS]].max()
    moved = 0.5 * (1 - p[label] / best)
    target = (1 - moved) * F.one_hot(torch.tensor(label), 7) + moved * F.one_hot(torch.tensor(ABSTAINS), 7)
    torch.testing.assert_close(grad[0], p - target, atol=1e-6, rtol=1e-5)


def test_entropy_is_that_of_a_distribution() -> None:
    made, batch = output([1, 2])
    losses = EntropyRegularization(0.5)(made, batch)

    def entropy(logits, label):
        p = oracle.softmax(logits)
        return -math.log(p[label]) - 0.5 * sum(q * math.log(q) for q in p)

    assert losses.tolist() == pytest.approx(
        by_loop(made, entropy, lambda p, y: -math.log(p[y]) - 0.5 * sum(q * math.log(q) for q in p)), rel=1e-5
    )
    shifted = replace(made, answer_logits=made.answer_logits + 50.0)
    torch.testing.assert_close(EntropyRegularization(0.5)(shifted, batch), losses, atol=1e-4, rtol=1e-4)
    forbidden = made.answer_logits.clone()
    forbidden[:, ABSTAINS] = float("-inf")
    assert EntropyRegularization(0.5)(replace(made, answer_logits=forbidden), batch).isfinite().all()


def test_smoothed_labels_are_those_of_a_plain_loop() -> None:
    made, batch = output(LENGTHS)
    logits = made.answer_logits.clone().requires_grad_()
    losses = smoothed(0.3)(replace(made, answer_logits=logits), batch)
    (grad,) = torch.autograd.grad(losses.sum(), logits)

    def smooth(p, label):
        return -sum((0.7 * (v == label) + 0.3 / 7) * math.log(q) for v, q in enumerate(p))

    expected = by_loop(made, lambda z, y: smooth(oracle.softmax(z), y), smooth)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    rows = made.answer_rows.tolist()
    for i, (row, label) in enumerate(zip(rows, made.answer_labels.tolist(), strict=True)):
        p = oracle.softmax(made.answer_logits[i].tolist())
        slopes = [(q - 0.7 * (v == label) - 0.3 / 7) / rows.count(row) for v, q in enumerate(p)]
        assert grad[i].tolist() == pytest.approx(slopes, abs=1e-6)


@pytest.mark.parametrize(
    ("objective", "metric"), [(AURCObjective(**OF_CROSS_ENTROPY), aurc), (AUGRCObjective(**OF_CROSS_ENTROPY), augrc)]
)
def test_rank_weights_make_the_area_of_the_batch_that_is_there(objective, metric) -> None:
    for lengths in ([1, 2, 2], [2, 1, 1, 3, 1]):
        made, batch = output(lengths, seed=len(lengths))
        confidence = greedy_log_probability(made, len(batch))
        weights = by_rank(objective, made)
        torch.testing.assert_close(objective(made, batch), weights * SFT()(made, batch))
        accuracy = torch.rand(len(batch), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        area = (weights.double() * (1 - accuracy)).mean()
        torch.testing.assert_close(area, metric(confidence, accuracy), atol=1e-6, rtol=0)


def test_greedy_log_probability_is_a_sum_of_maxima() -> None:
    made, _ = output([2, 1])
    best = made.answer_logits.log_softmax(-1).amax(-1)
    torch.testing.assert_close(greedy_log_probability(made, 2), torch.stack([best[0] + best[1], best[2]]))


def test_the_gradient_of_idk_takes_the_share_that_it_moves_for_a_constant() -> None:
    made, batch = output([1, 1, 1, 1], seed=3)
    logits = made.answer_logits.clone().requires_grad_()
    loss = prepared(IDK(0.5, 1.0, after=0))(replace(made, answer_logits=logits), batch).sum()
    (grad,) = torch.autograd.grad(loss, logits)

    free = made.answer_logits.double().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for row, label in enumerate(made.answer_labels.tolist()):
        p = oracle.softmax(made.answer_logits[row].tolist())
        best = max(q for i, q in enumerate(p) if i != ABSTAINS)
        share = 0.5 * (1 - p[label] / best)
        log_probs = free[row].log_softmax(-1)
        total = total - (1 - share) * log_probs[label] - share * log_probs[ABSTAINS]
        if p[label] == best:
            total = total - (1 - log_probs[ABSTAINS].exp()).log()
    (expected,) = torch.autograd.grad(total, free)
    torch.testing.assert_close(grad.double(), expected, atol=1e-6, rtol=1e-5)


def test_self_adaptive_targets_follow_each_sample_and_travel() -> None:
    objective = prepared(SelfAdaptive(0.9, after=0))
    made, batch = output([1, 2])
    objective(made, batch)
    first = dict(objective.targets)
    expected = [
        oracle.self_adaptive_target(1.0, made.answer_logits[i].tolist(), int(made.answer_labels[i]), 0.9, ABSTAINS)
        for i in (0, 1)
    ]
    assert list(first) == ["u0", "u1"]
    assert list(first.values()) == pytest.approx(expected, rel=1e-5)
    objective.eval()(made, batch)
    assert objective.targets == first  # evaluation looks and changes nothing
    again = prepared(SelfAdaptive(0.9, after=0))
    again.load_state_dict(objective.state_dict())
    assert again.targets == first
    torch.testing.assert_close(again.train()(made, batch), objective.train()(made, batch), rtol=0, atol=0)
    assert again.seen == objective.seen == 2


def test_abstaining_begins_after_as_many_training_batches() -> None:
    objective = prepared(DeepGamblers(after=2))
    made, batch = output([1, 2])
    plain = SFT()(made, batch)
    objective.eval()
    for _ in range(4):  # validation counts nothing
        torch.testing.assert_close(objective(made, batch), plain)
    objective.train()
    torch.testing.assert_close(objective(made, batch), plain)
    torch.testing.assert_close(objective(made, batch), plain)
    assert not torch.allclose(objective(made, batch), plain)
    assert not torch.allclose(objective.eval()(made, batch), plain)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LabelSmoothing(1.5), ValueError, "`smoothing` in .0, 1. but got 1.5"),
        (lambda: EntropyRegularization(math.nan), ValueError, "`weight`"),
        (lambda: DeepGamblers(1.0), ValueError, "`payoff`"),
        (lambda: DeepGamblers(abstention=" "), UserError, "`abstention` to be words"),
        (lambda: SelfAdaptive(after=-1), UserError, "`after` of at least 0"),
        (lambda: SelfAdaptive(1.5), ValueError, "`momentum`"),
        (lambda: IDK(2.0), ValueError, "`mass`"),
        (lambda: IDK(guard=-1.0), ValueError, "`guard`"),
    ],
)
def test_mistakes_are_named(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("objective", [DeepGamblers, SelfAdaptive, IDK])
def test_words_of_several_tokens_cannot_abstain(objective) -> None:
    """ "uncooked" begins with the first token of "unanswerable": it would count as abstaining."""
    named = objective.__name__
    message = (
        rf"`abstention` of {named} to be one token but 'unanswerable' is 3 tokens to Pieces.*"
        rf"set `init_args\.abstention` of {named} to one of \['unknown', 'unsure'\]"
    )
    with pytest.raises(UserError, match=message):
        objective().prepare(Pieces(), SequenceProbability())
    one = objective(abstention="unknown")
    one.prepare(Pieces(), SequenceProbability())
    assert one.token == Pieces.words.index("unknown")


def test_an_unprepared_objective_says_so() -> None:
    made, batch = output([1])
    assert issubclass(DeepGamblers, AbstainingObjective)
    with pytest.raises(RuntimeError, match="call `prepare`"):
        DeepGamblers()(made, batch)
