"""check_attack finds attacks and models that pretend; each sign is provoked by a model that has it."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from lit_vlr_callbacks import check_attack
from lit_vlr_callbacks.attacks import APGD, FGSM, PGD, Attack, AttackResult, LossFn, RandomSearch, Square
from lit_vlr_callbacks.perturbations import L1, L2, Brightness, Compose, Linf, Perturbation, Rotate

IMAGES = 0.1 + 0.8 * torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
WEIGHTS = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1))


def loss(images: Tensor) -> Tensor:
    return torch.nn.functional.softplus((WEIGHTS * images).flatten(1).sum(1))


@pytest.mark.parametrize(
    "attack",
    [
        PGD(Linf("8/255")),
        PGD(Compose([Linf("4/255"), Rotate(), Brightness()]), restarts=4),
        FGSM(Linf("8/255")),
        RandomSearch(Linf("8/255"), samples=3),
    ],
)
def test_an_honest_attack_is_ok(attack: Attack) -> None:
    verdict = check_attack(loss, attack, IMAGES)
    assert verdict.ok, verdict.problems
    assert verdict.attacked_loss > verdict.clean_loss
    assert verdict.attacked_loss >= verdict.random_loss
    assert (verdict.one_step_loss is None) == isinstance(attack, RandomSearch)


def test_eps_zero_is_ok() -> None:
    verdict = check_attack(loss, PGD(Linf(0)), IMAGES)
    assert verdict.ok
    assert verdict.attacked_loss == verdict.clean_loss


@pytest.mark.parametrize("flat", [lambda x: loss(x.detach()), lambda x: loss((8 * x).round() / 8)])
def test_no_gradient_at_all(flat: LossFn) -> None:
    verdict = check_attack(flat, PGD(Linf("8/255")), IMAGES)
    assert verdict.zero_gradients == 1.0
    assert "no gradient to the images" in verdict.problems[0]


def test_some_samples_without_gradient() -> None:
    verdict = check_attack(lambda x: loss(x) * torch.tensor([1.0] * 6 + [0.0] * 2), PGD(Linf("8/255")), IMAGES)
    assert verdict.zero_gradients == 0.25
    assert "25% of the samples" in verdict.problems[0]


def test_gradients_that_are_not_finite() -> None:
    with pytest.warns(UserWarning, match="not finite"):
        verdict = check_attack(lambda x: loss(x) + (0 * x).sqrt().flatten(1).sum(1), PGD(Linf("8/255")), IMAGES)
    assert not verdict.finite_gradients
    assert "not finite" in verdict.problems[0]


def masked(images: Tensor) -> Tensor:
    """Right values, gradients that point the other way."""
    return loss(images.detach()) - (loss(images) - loss(images).detach())


def test_masked_gradients_lose_to_random_search() -> None:
    verdict = check_attack(masked, PGD(Linf("8/255"), random_start=False), IMAGES)
    assert verdict.beaten_by_random
    assert verdict.random_loss > verdict.attacked_loss
    assert any("Random search of equal cost" in problem for problem in verdict.problems)


def test_steps_that_lose_what_the_first_one_won() -> None:
    """A narrow ridge: a signed step of full size jumps over it and, the second time, back off it."""

    def ridge(images: Tensor) -> Tensor:
        return -((images - IMAGES - 0.02) ** 2).flatten(1).sum(1)

    attack = PGD(Linf(0.1), steps=2, step_size=0.3, random_start=False, keep_best=False)
    verdict = check_attack(ridge, attack, IMAGES)
    assert not verdict.rises
    assert "does not rise" in verdict.problems[-1]


def test_a_loss_that_does_not_rise_with_the_range() -> None:
    """FGSM to the corner of the whole ball falls off a ridge that half the ball just reaches."""

    def ridge(images: Tensor) -> Tensor:
        return -((images - IMAGES).abs() - 0.05).abs().flatten(1).sum(1)

    verdict = check_attack(ridge, FGSM(Linf(0.1), random_start=False), IMAGES.clone() + 1e-4)
    assert verdict.half_range_loss is not None
    assert verdict.half_range_loss > verdict.attacked_loss
    assert not verdict.rises
    assert "half the range" in verdict.problems[-1]


def near(images: Tensor) -> Tensor:
    """A loss that saturates beyond a small step, as where gradients are masked on purpose."""
    return loss(IMAGES + (images - IMAGES).clamp(-0.05, 0.05))


def margin(images: Tensor) -> Tensor:
    return (WEIGHTS * images).flatten(1).sum(1)


@pytest.mark.parametrize("threat", [Linf("8/255"), L2(0.5), L1(3.0), Compose([Linf("4/255"), Brightness(-0.1, 0.1)])])
def test_without_a_bound_nothing_survives(threat: Perturbation) -> None:
    verdict = check_attack(margin, PGD(threat, steps=5, success_loss=0.0), IMAGES)
    assert verdict.ok, verdict.problems
    assert verdict.unbroken == 0
    assert verdict.reaches_zero
    assert verdict.unbounded_loss is not None
    assert verdict.unbounded_loss > verdict.attacked_loss


def test_what_survives_without_a_bound_is_counted() -> None:
    def stuck(images: Tensor) -> Tensor:
        gone = (images - IMAGES).clamp(-0.05, 0.05)
        return torch.where(torch.arange(8) < 2, -1e3 + margin(IMAGES + gone), margin(images))

    for attack, broken in ((PGD(Linf(0.1), success_loss=0.0), None), (PGD(Linf(0.1)), lambda x: stuck(x) > 0)):
        verdict = check_attack(stuck, attack, IMAGES, broken=broken)
        assert verdict.unbroken == 0.25
        assert not verdict.reaches_zero
        assert "25% of the samples survive" in verdict.problems[-1]


def test_without_a_bound_and_without_labels_another_picture_is_the_mark() -> None:
    def hidden(images: Tensor) -> Tensor:
        """Only the other samples' very pictures are answered wrongly: no gradient leads there."""
        known = (images[:, None] == IMAGES[None]).flatten(2).all(2)
        return near(images) + 100 * (known & ~torch.eye(8, dtype=torch.bool)).any(1)

    verdict = check_attack(hidden, PGD(Linf("8/255")), IMAGES)
    assert verdict.unbroken is None
    assert not verdict.reaches_zero
    assert "another sample's picture" in verdict.problems[-1]


class OwnBall(Linf):
    """Somebody's subclass."""


@pytest.mark.parametrize(
    "attack",
    [
        APGD(Linf("16/255"), steps=10, success_loss=0.0, early_stop=True),
        Square(OwnBall("64/255"), queries=60, success_loss=0.0),
    ],
)
def test_an_attack_that_stops_where_it_has_won_is_not_blamed_for_it(attack: Attack) -> None:
    verdict = check_attack(lambda x: margin(x) - margin(IMAGES) - 1.0, attack, IMAGES)
    assert verdict.rises, verdict.problems
    assert verdict.unbroken == 0


@pytest.mark.parametrize("attack", [RandomSearch(Linf("8/255")), PGD(Rotate(), success_loss=1e9), PGD(Linf(0))])
def test_some_attacks_have_no_unbounded_kind(attack: Attack) -> None:
    verdict = check_attack(loss, attack, IMAGES)
    assert verdict.unbounded_loss is None
    assert verdict.reaches_zero


class Overshooting(Attack):
    """Returns what is no picture."""

    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        return AttackResult(images + WEIGHTS, {}, loss_fn(images + WEIGHTS), 1, None)


def test_pixels_out_of_range() -> None:
    verdict = check_attack(loss, Overshooting(Linf("8/255")), IMAGES)
    assert not verdict.in_range
    assert "clamp them" in verdict.problems[0]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (4 * IMAGES - 2, r"Pixels reach from -1.6 to 1.6: pass unnormalised pictures"),
        (255 * IMAGES, "normalise inside the model"),
        (IMAGES * float("nan"), "from nan to nan"),
        ((255 * IMAGES).byte(), r"Pixels are torch.uint8: .*pass images.float\(\) / 255"),
    ],
)
def test_pictures_that_no_attack_can_run_on(images: Tensor, message: str) -> None:
    verdict = check_attack(loss, PGD(Linf("8/255")), images)
    assert not verdict.in_range
    assert re.search(message, verdict.problems[0])


def test_sixteen_bit_pixels() -> None:
    verdict = check_attack(loss, PGD(Linf("8/255")), IMAGES.bfloat16())
    assert verdict.sixteen_bit
    assert not verdict.ok
    assert "keep them in float32" in verdict.problems[0]
