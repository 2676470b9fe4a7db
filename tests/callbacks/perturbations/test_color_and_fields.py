"""Saturation, hue, colour shift, gamma, noise and uneven light: values by hand, kinks and bad input."""

from __future__ import annotations

import colorsys
import math

import pytest
import torch
from torch import Tensor

from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import (
    ColorShift,
    Compose,
    Gamma,
    GaussianNoise,
    Hue,
    Perturbation,
    PlasmaIllumination,
    Saturation,
)


def plain(*rgb: float) -> Tensor:
    """One pixel of one colour."""
    return torch.tensor(rgb).view(1, 3, 1, 1)


def test_saturation_by_hand() -> None:
    """Grey is 0.299 R + 0.587 G + 0.114 B: of (0.8, 0.4, 0.2), 0.4968."""
    images = plain(0.8, 0.4, 0.2).expand(3, 3, 1, 1)
    factors = torch.tensor([0.0, 0.5, 2.0])
    grey, half, double = Saturation(0, 2).apply(images, {"saturation": factors}).flatten(1)
    assert grey.tolist() == pytest.approx([0.4968] * 3, abs=1e-6)
    assert half.tolist() == pytest.approx([0.6484, 0.4484, 0.3484], abs=1e-6)
    assert double.tolist() == pytest.approx([1.0, 0.3032, 0.0], abs=1e-6)  # clipped: 1.1032 and -0.0968


@pytest.mark.parametrize("angle", [-math.pi, -1.0, 0.0, 0.3, 2 * math.pi / 3, math.pi])
def test_hue_is_a_turn_of_the_colour_circle(angle: float) -> None:
    for rgb in [(0.8, 0.4, 0.2), (0.1, 0.5, 0.9), (0.3, 0.3, 0.3), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]:
        h, s, v = colorsys.rgb_to_hsv(*rgb)
        expected = colorsys.hsv_to_rgb((h + angle / (2 * math.pi)) % 1.0, s, v)
        turned = Hue(-math.pi, math.pi).apply(plain(*rgb), {"hue": torch.tensor([angle])})
        assert turned.flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_colour_shift_by_hand() -> None:
    params = {"shift_red": torch.tensor([0.3]), "shift_green": torch.tensor([-0.2]), "shift_blue": torch.tensor([0.1])}
    shifted = ColorShift(-0.5, 0.5).apply(plain(0.8, 0.5, 0.05), params)
    assert shifted.flatten().tolist() == pytest.approx([1.0, 0.3, 0.15])


def test_gamma_by_hand_and_at_black() -> None:
    exponents = torch.tensor([0.5, 2.0])
    images = plain(0.25, 0.81, 0.0005).expand(2, 3, 1, 1)
    bright, dark = Gamma(0.5, 2).apply(images, {"gamma": exponents}).flatten(1)
    assert bright.tolist() == pytest.approx([0.5, 0.9, 0.0005 * 0.001**-0.5])  # a line below 0.001
    assert dark.tolist() == pytest.approx([0.0625, 0.6561, 0.0005 * 0.001], rel=1e-5)


def test_gamma_is_continuous_and_its_gradients_are_finite_at_black() -> None:
    images = torch.tensor([0.0, 1e-3 - 1e-9, 1e-3, 1e-3 + 1e-9, 1.0, 1e-9], dtype=torch.float64).view(1, 1, 2, 3)
    images.requires_grad_()
    gamma = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    corrected = Gamma(0.5, 2).apply(images, {"gamma": gamma})
    assert corrected.flatten()[1:4].tolist() == pytest.approx([0.001**0.5] * 3, abs=1e-6)
    assert corrected.flatten()[0] == 0
    corrected.sum().backward()
    assert images.grad is not None
    assert gamma.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.max() < 32  # 0.001 ** -0.5
    assert gamma.grad.isfinite().all()


@pytest.mark.parametrize("perturbation", [Hue(), Gamma()], ids=["hue", "gamma"])
def test_a_gradient_at_the_identity(perturbation: Perturbation) -> None:
    """The picture is taken over bit for bit there, but the parameter must be able to leave."""
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    name = perturbation.names[0]
    leaf = torch.full((3,), perturbation.identity[name], dtype=torch.float64, requires_grad=True)
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (weights * perturbation.apply(images, {name: leaf})).sum().backward()
    ends = [
        (weights * perturbation.apply(images, {name: leaf.detach() + step})).flatten(1).sum(1) for step in (1e-6, -1e-6)
    ]
    torch.testing.assert_close(leaf.grad, (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-5)


def test_noise_is_sigma_times_a_field_that_an_attack_leaves_alone() -> None:
    images = torch.full((200, 3, 8, 8), 0.5)
    threat = GaussianNoise(0.1)
    params = threat.sample(200, torch.Generator().manual_seed(0), image_shape=(3, 8, 8))
    assert params["noise"].std().item() == pytest.approx(1.0, abs=0.01)
    assert params["noise"].mean().item() == pytest.approx(0.0, abs=0.01)
    change = threat.apply(images, params) - images
    torch.testing.assert_close(change.flatten(1).std(1), params["noise_sigma"], rtol=0.25, atol=1e-3)
    moved = threat.ascend(params, {name: torch.ones_like(v) for name, v in params.items()}, 0.5)
    assert torch.equal(moved["noise"], params["noise"])
    assert torch.equal(moved["noise_sigma"], params["noise_sigma"] + 0.025)
    assert threat.scaled(0.5).high == {"noise_sigma": 0.05, "noise": 4.0}  # smaller noise, not cut-off noise


def test_light_by_hand() -> None:
    images = torch.tensor([0.5, 0.7]).view(1, 1, 1, 2)
    params = {
        "plasma_brightness": torch.tensor([0.2]),
        "plasma_contrast": torch.tensor([0.5]),
        "plasma": torch.tensor([0.5, -1.0]).view(1, 1, 1, 2),
    }
    lit = PlasmaIllumination(1, 1).apply(images, params)
    assert lit.flatten().tolist() == pytest.approx([0.5 + 0.1, 0.7 - 0.2 - 0.5 * 0.2])


def test_light_is_smooth_and_one_for_all_channels() -> None:
    field = PlasmaIllumination().sample(50, torch.Generator().manual_seed(0), image_shape=(3, 33, 40))["plasma"]
    assert field.shape == (50, 1, 33, 40)
    assert field.abs().max() <= 1
    assert abs(field.mean()) < 0.05
    steps = (field[..., 1:] - field[..., :-1]).abs().mean()
    assert steps < 0.5 * (field[..., 20:] - field[..., :20]).abs().mean()  # neighbours are alike
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same = PlasmaIllumination().sample(50, torch.Generator().manual_seed(0), image_shape=(3, 33, 40))["plasma"]
    assert torch.equal(same, field)
    rough, fine = (
        PlasmaIllumination(roughness=r).sample(9, torch.Generator().manual_seed(0), image_shape=(1, 33, 33))["plasma"]
        for r in (0.9, 0.2)
    )
    assert (rough[..., 1:] - rough[..., :-1]).abs().mean() > 2 * (fine[..., 1:] - fine[..., :-1]).abs().mean()


@pytest.mark.parametrize("threat", [GaussianNoise(), PlasmaIllumination()], ids=["noise", "plasma"])
@pytest.mark.parametrize("composed", [False, True])
def test_an_attack_that_starts_at_the_identity_leaves_it(threat: Perturbation, composed: bool) -> None:
    """The drawn field is there from the start: with a field of zeros sigma would have no gradient."""
    images = torch.full((4, 3, 8, 8), 0.5)
    weights = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    attack = PGD(Compose([threat, Saturation()]) if composed else threat, random_start=False)
    result = attack.attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images)
    assert (result.loss >= 0).all()
    assert result.loss.max() > 0
    signed = PGD(PlasmaIllumination(), random_start=False)
    assert (signed.attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images).loss > 0).all()


def test_pgd_finds_the_best_sigma() -> None:
    """The loss is linear in sigma: all of it where the field agrees with the weights, none where it does not."""
    images = torch.full((8, 3, 8, 8), 0.5)
    weights = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    attack = PGD(GaussianNoise(0.1), steps=3)
    result = attack.attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images)
    agrees = (weights * result.params["noise"]).flatten(1).sum(1) > 0
    assert torch.equal(result.params["noise_sigma"], torch.where(agrees, 0.1, 0.0))
    assert 0 < agrees.sum() < 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Saturation(-1, 2), "saturation factors of at least 0 but got low=-1; 1 is the identity"),
        (lambda: Saturation(1.1, 2), r"`saturation` that contains its identity 1 but got \[1.1, 2\]"),
        (lambda: Hue(-4, 0), r"hue angles in \[-pi, pi\] but got \[-4.0, 0.0\]; they are in radians"),
        (lambda: Hue(-15, 15), "they are in radians"),
        (lambda: Hue(0.1, 0.2), "contains its identity 0"),
        (lambda: ColorShift(-2, 0), r"shifts in \[-1, 1\] but got \[-2.0, 0.0\]"),
        (lambda: ColorShift(0.1, 0.2), "`shift_red` that contains its identity 0"),
        (lambda: Gamma(0, 2), "exponents above 0 but got low=0; 1 is the identity"),
        (lambda: Gamma(1.2, 2), "contains its identity 1"),
        (lambda: GaussianNoise(25), r"standard deviation in \[0, 1\] but got 25; pixels are in"),
        (lambda: PlasmaIllumination(2), r"`brightness` in \[0, 1\] but got 2; 0 is none"),
        (lambda: PlasmaIllumination(0.1, -1), r"`contrast` in \[0, 1\] but got -1"),
        (lambda: PlasmaIllumination(roughness=0), r"`roughness` in \(0, 1\] but got 0"),
    ],
)
def test_bad_ranges(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("perturbation", [Saturation(), Hue(), ColorShift()])
def test_grey_pictures_have_no_colour(perturbation: Perturbation) -> None:
    images = torch.full((2, 1, 4, 4), 0.5)
    with pytest.raises(ValueError, match=r"RGB pictures \(B, 3, H, W\) for .* but got \(2, 1, 4, 4\); repeat a grey"):
        perturbation.apply(images, perturbation.neutral(2))


@pytest.mark.parametrize("perturbation", [GaussianNoise(), PlasmaIllumination()])
def test_the_shape_of_the_pictures_is_needed(perturbation: Perturbation) -> None:
    with pytest.raises(ValueError, match=r"`image_shape` because .* pass images.shape\[1:\]"):
        perturbation.sample(2)
