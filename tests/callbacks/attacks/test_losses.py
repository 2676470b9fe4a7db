"""What attacks raise, against plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lit_vlr_callbacks.attacks import (
    PGD,
    FeatureSpace,
    LogitsLoss,
    TargetedLoss,
    cross_entropy,
    dlr,
    kl_from_clean,
    margin,
    ranked_targets,
    targeted_dlr,
    targeted_margin,
    wrong_first,
)
from lit_vlr_callbacks.perturbations import Linf
from tests.oracles import attack_losses as oracle

CLOSE = {"rel": 1e-4, "abs": 1e-4}


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[float]], list[int], list[int]]:
    """Logits (B, K) without ties, classes, and other classes."""
    k = draw(st.integers(4, 7))
    row = st.lists(st.integers(-40, 40), min_size=k, max_size=k, unique=True).map(lambda zs: [z / 8 for z in zs])
    logits = draw(st.lists(row, min_size=1, max_size=4))
    labels = [draw(st.integers(0, k - 1)) for _ in logits]
    return logits, labels, [(label + draw(st.integers(1, k - 1))) % k for label in labels]


@settings(max_examples=60, deadline=None)
@given(problems())
def test_losses_are_those_of_the_definitions(problem: tuple[list[list[float]], list[int], list[int]]) -> None:
    rows, labels, targets = problem
    z, y, t = torch.tensor(rows), torch.tensor(labels), torch.tensor(targets)
    for loss, expected in ((cross_entropy, oracle.cross_entropy), (margin, oracle.margin), (dlr, oracle.dlr)):
        assert loss(z, y).tolist() == pytest.approx(
            [expected(r, c) for r, c in zip(rows, labels, strict=True)], **CLOSE
        )
    triples = list(zip(rows, labels, targets, strict=True))
    assert targeted_dlr(z, y, t).tolist() == pytest.approx(
        [oracle.targeted_dlr(*triple) for triple in triples], **CLOSE
    )
    assert targeted_margin(z, y, t).tolist() == pytest.approx([r[g] - r[c] for r, c, g in triples])
    right = z.argmax(1) == y
    for loss, limit in ((margin, 0.0), (dlr, 0.0), (wrong_first, math.log(z.shape[1]))):
        assert torch.equal(loss(z, y) > limit, ~right), loss
    assert not (right & ((targeted_margin(z, y, t) > 0) | (targeted_dlr(z, y, t) > 0))).any()


def test_wrong_first_has_the_gradient_of_cross_entropy() -> None:
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.arange(8) % 5
    found, expected = (
        torch.autograd.grad(loss(logits, labels).sum(), logits)[0] for loss in (wrong_first, cross_entropy)
    )
    assert torch.equal(found, expected)


def test_dlr_does_not_see_the_scale_of_the_logits() -> None:
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 5
    torch.testing.assert_close(dlr(64 * logits, labels), dlr(logits, labels))


def test_targets_are_the_wrong_classes_from_the_likeliest_down() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.3, 0.2], [2.0, 2.0, 1.0, 3.0]])
    assert ranked_targets(logits, torch.tensor([1, 3])).tolist() == [[2, 3, 0], [0, 1, 2]]


@pytest.mark.parametrize(("loss", "k"), [(dlr, 2), (targeted_dlr, 3)])
def test_ratios_need_enough_classes(loss: object, k: int) -> None:
    classes = [torch.tensor([0]), torch.tensor([1])][: 1 if loss is dlr else 2]
    with pytest.raises(ValueError, match=rf"at least {k + 1} classes but got {k}; use `margin`"):
        loss(torch.zeros(1, k), *classes)  # type: ignore[operator]


def linear(images: Tensor) -> Tensor:
    weights = torch.linspace(-1, 1, 12 * 4).view(12, 4).sin()
    return images.flatten(1) @ weights


def test_kl_and_features_are_distances_from_the_clean_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    clean, other = torch.rand(2, 5, 3, 2, 2, generator=generator)
    kl, features = kl_from_clean(linear, clean), FeatureSpace(linear, clean)
    p, q = linear(clean).tolist(), linear(other).tolist()
    assert kl(other).tolist() == pytest.approx([oracle.kl(a, b) for a, b in zip(p, q, strict=True)], **CLOSE)
    squares = [sum((s - r) ** 2 for r, s in zip(a, b, strict=True)) for a, b in zip(p, q, strict=True)]
    assert features(other).tolist() == pytest.approx(squares, **CLOSE)
    rows = torch.tensor([3, 1])
    for loss in (kl, features):
        assert loss(clean).abs().max() < 1e-6
        assert torch.equal(loss.rows(rows)(other[rows]), loss(other)[rows])
        attack = PGD(Linf("16/255"), steps=5)
        assert (attack.attack(loss, clean).loss > loss(other.lerp(clean, 1 - 16 / 255))).all()


def test_a_targeted_attack_reaches_its_target() -> None:
    images, target = torch.full((4, 3, 2, 2), 0.5), torch.arange(4)
    loss = TargetedLoss(LogitsLoss(linear, target))
    found = PGD(Linf(0.5), steps=20).attack(loss, images)
    closer = linear(found.images).log_softmax(1).gather(1, target[:, None])
    assert (closer > linear(images).log_softmax(1).gather(1, target[:, None])).all()
    torch.testing.assert_close(found.loss, closer.squeeze(1))
    rows = torch.tensor([2])
    narrowed = loss.rows(rows)
    assert narrowed is not None
    assert torch.equal(narrowed(found.images[rows]), loss(found.images)[rows])
    assert TargetedLoss(lambda x: x.flatten(1).sum(1)).rows(rows) is None
