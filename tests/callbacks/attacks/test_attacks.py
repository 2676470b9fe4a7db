"""Attacks are tested for strength: against a closed form, against random search, and against themselves."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from lit_vlr_callbacks.attacks import FGSM, PGD, Attack, RandomSearch
from lit_vlr_callbacks.perturbations import (
    Brightness,
    Compose,
    Contrast,
    Linf,
    Perturbation,
    Rotate,
    Scale,
    Shear,
    Translate,
)
from tests.callbacks.attacks._digits import Digits


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


SEMANTIC = Compose([Rotate(-20, 20), Brightness(-0.3, 0.3), Contrast(0.5, 1.5)])
BOTH = Compose([Linf("8/255"), Rotate(-20, 20), Brightness(), Contrast()])
VIEW = Compose(
    [Rotate(-5, 5), Translate(0.05, 0.05), Scale(0.95, 1.05), Shear(5, 5), Brightness(-0.05, 0.05), Contrast(0.9, 1.1)]
)


# --- closed forms


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_pgd_reaches_the_optimum_of_a_linear_loss(steps: int, random_start: bool, momentum: float) -> None:
    """Of a linear loss over a box, the maximum is at the corner that the weights' signs name."""
    generator = torch.Generator().manual_seed(steps)
    weights = torch.randn(6, 3, 8, 8, generator=generator)
    images = torch.rand(6, 3, 8, 8, generator=generator)
    images[:3] = images[:3].round()  # black and white: half of the ball is outside [0, 1]
    eps = 16 / 255
    best = torch.where(weights > 0, (images + eps).clamp(max=1), (images - eps).clamp(min=0))
    expected = (weights * best).flatten(1).sum(1)

    attack = PGD(Linf(eps), steps=steps, random_start=random_start, momentum=momentum)
    result = attack.attack(lambda x: (weights * x).flatten(1).sum(1), images, generator=generator)
    torch.testing.assert_close(result.images, best, atol=1e-6, rtol=0)
    torch.testing.assert_close(result.loss, expected, rtol=1e-5, atol=1e-4)


def test_fgsm_is_the_corner_too() -> None:
    images = torch.full((1, 3, 4, 4), 0.5)
    weights = torch.linspace(-1, 1, 48).view(1, 3, 4, 4)
    result = FGSM(Linf("8/255")).attack(lambda x: (weights * x).flatten(1).sum(1), images)
    torch.testing.assert_close(result.images, images + 8 / 255 * weights.sign())
    assert result.steps == 1


def test_pgd_reaches_the_optimum_of_semantic_parameters() -> None:
    """Raising the mean of a grey picture: most brightening and most contrast; the signs differ by sample."""
    images = torch.full((2, 3, 8, 8), 0.3)
    sign = torch.tensor([1.0, -1.0])
    attack = PGD(Compose([Contrast(0.5, 1.5), Brightness(-0.1, 0.1)]), steps=3)
    result = attack.attack(lambda x: sign * x.flatten(1).mean(1), images)
    assert result.params["contrast"].tolist() == [1.5, 0.5]
    assert result.params["brightness"].tolist() == pytest.approx([0.1, -0.1])
    assert result.loss.tolist() == pytest.approx([0.55, -0.05])


# --- a trained network


@pytest.mark.parametrize("threat", [Linf("16/255"), SEMANTIC, BOTH], ids=["linf", "semantic", "both"])
def test_pgd_beats_random_search_of_three_times_its_passes(digits: Digits, threat: Perturbation) -> None:
    pgd = PGD(threat, steps=3).attack(digits.loss, digits.images)
    random = RandomSearch(threat, samples=3 * pgd.steps).attack(digits.loss, digits.images)
    assert pgd.loss.mean() > 1.1 * random.loss.mean()
    assert digits.accuracy(pgd.images) < digits.accuracy(random.images)


def test_restarts_over_viewpoint_and_light_beat_random_search_of_equal_cost(digits: Digits) -> None:
    """A backward pass counts as two forward passes. In so few parameters more steps of one search gain less."""
    pgd = PGD(VIEW, steps=5, restarts=2).attack(digits.loss, digits.images)
    random = RandomSearch(VIEW, samples=pgd.steps + 2 * 5 * 2).attack(digits.loss, digits.images)
    longer = PGD(VIEW, steps=11).attack(digits.loss, digits.images)
    assert pgd.loss.mean() > 1.5 * random.loss.mean()
    assert digits.accuracy(pgd.images) < digits.accuracy(random.images) - 0.15
    assert longer.steps == pgd.steps
    assert pgd.loss.mean() > longer.loss.mean()


def test_strength_has_not_fallen(digits: Digits) -> None:
    """PGD-3 with default steps does nearly the damage of a long search with restarts."""
    clean = digits.loss(digits.images).mean()
    short = PGD(Linf("16/255"), steps=3).attack(digits.loss, digits.images)
    long = PGD(Linf("16/255"), steps=50, restarts=3).attack(digits.loss, digits.images)
    assert digits.accuracy(digits.images) > 0.85
    assert digits.accuracy(short.images) < digits.accuracy(digits.images) - 0.3
    assert short.loss.mean() - clean > 0.95 * (long.loss.mean() - clean)


def test_the_default_step_is_near_the_best_constant_one(digits: Digits) -> None:
    for threat in (Linf("16/255"), SEMANTIC):
        default = PGD(threat, steps=3).attack(digits.loss, digits.images).loss.mean()
        others = [
            PGD(threat, steps=3, step_size=s).attack(digits.loss, digits.images).loss.mean() for s in (0.3, 0.7, 1.5)
        ]
        assert default > 0.9 * max(others)


def test_more_restarts_never_lose(digits: Digits) -> None:
    """The first restart of three is the single restart, so this holds for each sample, not only on average."""
    one, three = (PGD(SEMANTIC, restarts=n).attack(digits.loss, digits.images).loss for n in (1, 3))
    assert (three >= one).all()
    assert three.mean() > 1.05 * one.mean()


# --- what an attack returns


@pytest.mark.parametrize(
    ("attack", "passes"),
    [
        (PGD(BOTH, steps=4), 5),
        (PGD(BOTH, steps=2, restarts=3), 9),
        (PGD(BOTH, steps=4, keep_best=False), 4),
        (FGSM(BOTH, random_start=True), 1),
        (RandomSearch(BOTH, samples=7), 7),
    ],
)
def test_steps_counts_forward_passes(digits: Digits, attack: Attack, passes: int) -> None:
    calls = []
    result = attack.attack(lambda x: (calls.append(1), digits.loss(x))[1], digits.images)
    assert result.steps == len(calls) == passes


@pytest.mark.parametrize("attack", [PGD(BOTH), PGD(BOTH, restarts=2, momentum=0.5), RandomSearch(BOTH)])
def test_loss_and_params_are_those_of_the_images(digits: Digits, attack: Attack) -> None:
    result = attack.attack(digits.loss, digits.images)
    torch.testing.assert_close(result.loss, digits.loss(result.images))
    assert torch.equal(result.images, attack.perturbation.apply(digits.images, result.params))
    assert not result.images.requires_grad
    assert not result.loss.requires_grad


def test_the_last_iterate_counts() -> None:
    """A loss that only the last step raises: without its evaluation the start would be returned."""
    images = torch.full((1, 3, 2, 2), 0.5)
    result = PGD(Linf(0.1), steps=1, random_start=False).attack(lambda x: x.flatten(1).sum(1), images)
    assert result.loss.item() == pytest.approx(12 * 0.6)


def test_the_worst_iterate_is_kept_for_each_sample() -> None:
    """Concave: a step of 1 overshoots the top at 0.55 for one sample only."""
    images = torch.full((2, 1, 1, 1), 0.5)
    top = torch.tensor([0.502, 0.9]).view(2, 1, 1, 1)
    attack = PGD(Linf(0.1), steps=2, step_size=1.0, random_start=False)
    result = attack.attack(lambda x: -((x - top) ** 2).flatten(1).sum(1), images)
    assert result.images.flatten().tolist() == pytest.approx([0.5, 0.6])


def test_success_is_a_loss_above_the_given_one(digits: Digits) -> None:
    result = PGD(BOTH, success_loss=1.0).attack(digits.loss, digits.images)
    assert result.success is not None
    assert torch.equal(result.success, result.loss > 1.0)
    assert PGD(BOTH).attack(digits.loss, digits.images).success is None


@pytest.mark.parametrize("attack", [PGD(BOTH.scaled(0.0)), FGSM(Linf(0)), RandomSearch(BOTH.scaled(0.0))])
def test_empty_range_returns_the_pictures(digits: Digits, attack: Attack) -> None:
    assert torch.equal(attack.attack(digits.loss, digits.images).images, digits.images)


@pytest.mark.parametrize("attack", [PGD(BOTH, restarts=2), FGSM(BOTH, random_start=True), RandomSearch(BOTH)])
def test_reproducible_by_generator_and_deaf_to_the_global_one(digits: Digits, attack: Attack) -> None:
    state = torch.get_rng_state()
    first, again, other = (
        attack.attack(digits.loss, digits.images, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    default = attack.attack(digits.loss, digits.images)
    torch.rand(1)
    assert torch.equal(default.images, attack.attack(digits.loss, digits.images).images)
    torch.set_rng_state(state)
    attack.attack(digits.loss, digits.images)
    assert torch.equal(torch.get_rng_state(), state)


def test_momentum_does_not_depend_on_the_scale_of_the_loss(digits: Digits) -> None:
    attack = PGD(BOTH, steps=4, momentum=0.9)
    plain, scaled = (attack.attack(lambda x, k=k: k * digits.loss(x), digits.images) for k in (1.0, 1024.0))
    assert torch.equal(plain.images, scaled.images)


def test_scaled_leaves_the_original_alone() -> None:
    attack = PGD(Linf("8/255"))
    assert attack.scaled(0.5).perturbation.high == {"delta": 4 / 255}
    assert attack.perturbation.high == {"delta": 8 / 255}


# --- things that go wrong


def test_gradients_that_are_not_finite_count_as_zero_and_warn_once() -> None:
    images = torch.full((2, 3, 4, 4), 0.5)

    def loss(x: Tensor) -> Tensor:
        bad = (0 * x[..., :2]).sqrt()  # slope infinity times zero
        return (bad + x[..., 2:]).flatten(1).sum(1)

    attack = PGD(Linf(0.1), random_start=False)
    with pytest.warns(UserWarning, match="not finite and counts them as zero"):
        result = attack.attack(loss, images)
    assert torch.equal(result.images[..., :2], images[..., :2])
    torch.testing.assert_close(result.images[..., 2:], images[..., 2:] + 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attack.attack(loss, images)
        attack.scaled(0.5).attack(loss, images)


def test_a_loss_that_is_nan_loses_to_any_number() -> None:
    images = torch.full((1, 1, 1, 1), 0.5)
    result = RandomSearch(Linf(0.1), samples=20).attack(
        lambda x: torch.where(x > 0.5, torch.nan, x).flatten(1).sum(1), images
    )
    assert 0.4 <= result.loss.item() <= 0.5


@pytest.mark.parametrize("loss", [lambda x: x.mean(), lambda x: x.mean((2, 3)), lambda x: 1.0])
@pytest.mark.parametrize("attack", [PGD(Linf(0.1)), RandomSearch(Linf(0.1))])
def test_loss_must_be_per_sample(attack: Attack, loss: type) -> None:
    with pytest.raises(ValueError, match=r"loss per sample of shape \(2,\) but got .*reduction='none'"):
        attack.attack(loss, torch.rand(2, 3, 4, 4))


@pytest.mark.parametrize("detached", [True, False])
def test_loss_must_depend_on_the_pictures(detached: bool) -> None:
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="has no gradient to them; compute it from the `images` argument"):
        PGD(Linf(0.1)).attack(
            lambda x: x.detach().flatten(1).sum(1) * (1 if detached else weight), torch.rand(2, 3, 4, 4)
        )


class Stepwise(Brightness):
    """A perturbation without usable gradients."""

    differentiable = False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "`steps` and `restarts` of at least 1"),
        ({"restarts": 0}, "`steps` and `restarts` of at least 1"),
        ({"step_size": 0.0}, "`step_size` above 0"),
        ({"momentum": 1.0}, r"`momentum` in \[0, 1\)"),
        ({"restarts": 2, "keep_best": False}, "`keep_best=True` with restarts"),
        ({"perturbation": Stepwise()}, "use RandomSearch"),
        ({"perturbation": Compose([Stepwise(), Rotate()])}, "use RandomSearch"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PGD(**{"perturbation": Linf(0.1), **settings})  # type: ignore[arg-type]


def test_random_search_needs_a_sample() -> None:
    with pytest.raises(ValueError, match="`samples` of at least 1"):
        RandomSearch(Linf(0.1), samples=0)
