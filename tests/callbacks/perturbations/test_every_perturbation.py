"""What holds for every perturbation, semantic or dense, alone or composed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

import lit_vlr_callbacks.perturbations as exported
from lit_vlr_callbacks.perturbations import (
    L0,
    L1,
    L2,
    Brightness,
    ColorShift,
    Compose,
    Contrast,
    Elastic,
    Erasing,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    Hue,
    Jpeg,
    Linf,
    MotionBlur,
    Patch,
    Perspective,
    Perturbation,
    PlasmaIllumination,
    Posterize,
    Rotate,
    Saturation,
    Scale,
    Sharpness,
    Shear,
    Solarize,
    ThinPlate,
    Translate,
    Typographic,
)
from tests._tiny import ROOT

SHAPE = (3, 9, 12)  # not square: an (H, W) mix-up must show


def _everything() -> Compose:
    return Compose([Linf("8/255"), Rotate(-20, 20), Brightness(), Contrast()])


GEOMETRY_AND_FILTERS = [
    pytest.param(Elastic(0.1), id="elastic"),
    pytest.param(GaussianBlur(1.5), id="gaussian-blur"),
    pytest.param(MotionBlur(), id="motion-blur"),
    pytest.param(Perspective(0.2, padding="reflection"), id="perspective"),
    pytest.param(Scale(0.5, 2), id="scale"),
    pytest.param(Sharpness(), id="sharpness"),
    pytest.param(Shear(20, 10), id="shear"),
    pytest.param(ThinPlate(0.1), id="thin-plate"),
    pytest.param(Translate(0.3, 0.2), id="translate"),
    pytest.param(Translate(padding="border"), id="translate-border"),
    pytest.param(Compose([Translate(), Scale(), Shear(), Elastic(), GaussianBlur()]), id="compose-view"),
]

NORMS_AND_COLOUR = [
    pytest.param(L2(1.0), id="l2"),
    pytest.param(L1(6.0), id="l1"),
    pytest.param(Patch(4, 5, top=0.5, left=1.0, eps=0.4), id="patch"),
    pytest.param(Saturation(), id="saturation"),
    pytest.param(Hue(), id="hue"),
    pytest.param(ColorShift(), id="color-shift"),
    pytest.param(Gamma(), id="gamma"),
    pytest.param(GaussianNoise(), id="gaussian-noise"),
    pytest.param(PlasmaIllumination(), id="plasma-illumination"),
]
# Differentiable too, but not by finite differences of `apply`: see test_norm_balls.py.
PLACES = [pytest.param(L0(7), id="l0"), pytest.param(Patch(4, 5), id="patch-anywhere")]
SEARCHED = [
    pytest.param(Erasing(0.5), id="erasing"),
    pytest.param(Erasing(0.5, top=0.5, left=0.5), id="erasing-fixed"),
    pytest.param(Posterize(), id="posterize"),
    pytest.param(Solarize(), id="solarize"),
    pytest.param(Jpeg(), id="jpeg"),
    pytest.param(Typographic(["yes", "no", "maybe"], 0.5, 1.0), id="typographic"),
]
DIFFERENTIABLE = [
    pytest.param(Linf("8/255"), id="linf"),
    pytest.param(Brightness(), id="brightness"),
    pytest.param(Contrast(), id="contrast"),
    pytest.param(Rotate(), id="rotate"),
    pytest.param(Rotate(padding="border"), id="rotate-border"),
    pytest.param(_everything(), id="compose"),
    *GEOMETRY_AND_FILTERS,
    *NORMS_AND_COLOUR,
]
ALL = [*DIFFERENTIABLE, *PLACES, *SEARCHED]


EXPORTED = {
    name: kind
    for name in exported.__all__
    if isinstance(kind := getattr(exported, name), type) and issubclass(kind, Perturbation) and kind is not Perturbation
}


def kinds(parameters: list[Any]) -> set[str]:
    return {type(parameter.values[0]).__name__ for parameter in parameters}


def test_no_exported_perturbation_is_left_out() -> None:
    apart = {"Equalize"}  # needs pictures of 256 pixels: test_searched.py
    assert kinds(ALL) | apart == set(EXPORTED)
    claimed = {name for name, kind in EXPORTED.items() if kind.differentiable}
    assert claimed == kinds(DIFFERENTIABLE) | {"L0"}  # L0's gradient is that of the plain sum: test_norm_balls.py
    assert not claimed & (kinds(SEARCHED) | apart)


def test_the_documentation_lists_each_with_its_flag() -> None:
    text = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (yes|searched|if all parts)[^|]* \|$", text, re.MULTILINE))
    assert rows.pop("Compose") == "if all parts"
    assert {name: kind == "yes" for name, kind in rows.items()} == {
        name: kind.differentiable for name, kind in EXPORTED.items() if name != "Compose"
    }


def pictures(n: int = 5, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    images = torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    images[0, :, 0], images[0, :, 1] = 0.0, 1.0  # saturated pixels are where clamps go wrong
    return images


@pytest.mark.parametrize("perturbation", ALL)
def test_identity_is_bit_equal(perturbation: Perturbation) -> None:
    images = pictures()
    params = perturbation.neutral(len(images), image_shape=SHAPE)
    assert torch.equal(perturbation.apply(images, params), images)


@pytest.mark.parametrize("perturbation", ALL)
def test_range_scaled_to_nothing_is_bit_equal(perturbation: Perturbation) -> None:
    images = pictures()
    nothing = perturbation.scaled(0.0)
    params = nothing.sample(len(images), torch.Generator().manual_seed(1), image_shape=SHAPE)
    assert torch.equal(nothing.apply(images, params), images)
    assert nothing.low == nothing.high == perturbation.identity


@pytest.mark.parametrize("perturbation", ALL)
def test_scaled_to_the_whole_range_is_the_same_range(perturbation: Perturbation) -> None:
    whole = perturbation.scaled(1.0)
    assert (whole.low, whole.high) == (perturbation.low, perturbation.high)


@pytest.mark.parametrize("perturbation", ALL)
def test_samples_are_in_range_and_reproducible(perturbation: Perturbation) -> None:
    first, second = (perturbation.sample(50, torch.Generator().manual_seed(3), image_shape=SHAPE) for _ in range(2))
    for name, shape in perturbation.shapes(SHAPE).items():
        assert first[name].shape == (50, *shape)
        assert torch.equal(first[name], second[name])
        assert perturbation.low[name] <= first[name].min() < first[name].max() <= perturbation.high[name]
    assert tuple(first) == perturbation.names


@pytest.mark.parametrize("perturbation", ALL)
def test_output_is_a_picture_of_the_same_kind(perturbation: Perturbation) -> None:
    images = pictures()
    params = perturbation.sample(len(images), torch.Generator().manual_seed(0), image_shape=SHAPE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        attacked = perturbation.apply(images, params)
    assert attacked.shape == images.shape
    assert attacked.dtype == torch.float32
    assert 0 <= attacked.min() <= attacked.max() <= 1
    assert torch.equal(attacked, perturbation.apply(images, params))  # autocast changed nothing
    assert not torch.equal(attacked, images)


@pytest.mark.parametrize("perturbation", ALL)
def test_each_sample_has_its_own_parameters(perturbation: Perturbation) -> None:
    images = pictures()
    params = perturbation.sample(len(images), torch.Generator().manual_seed(0), image_shape=SHAPE)
    together = perturbation.apply(images, params)
    for i in range(len(images)):
        alone = perturbation.apply(images[i : i + 1], {name: value[i : i + 1] for name, value in params.items()})
        torch.testing.assert_close(alone[0], together[i], atol=1e-6, rtol=0)


@pytest.mark.parametrize("perturbation", ALL)
def test_projection_is_idempotent_and_in_range(perturbation: Perturbation) -> None:
    images = pictures()
    params = perturbation.sample(len(images), torch.Generator().manual_seed(0), image_shape=SHAPE)
    far = {name: 100 * value for name, value in params.items()}
    for given in (None, images):
        once = perturbation.project(far, given)
        twice = perturbation.project(once, given)
        for name in perturbation.names:
            assert perturbation.low[name] <= once[name].min() <= once[name].max() <= perturbation.high[name]
            assert torch.equal(once[name], twice[name])


@pytest.mark.parametrize("perturbation", DIFFERENTIABLE)
def test_parameter_gradient_matches_finite_differences(perturbation: Perturbation) -> None:
    """Central differences in float64 along random directions, for each parameter on its own."""
    images = 0.25 + 0.5 * pictures(dtype=torch.float64)  # off the clamps
    generator = torch.Generator().manual_seed(7)
    narrow = perturbation.scaled(0.5)
    params = narrow.sample(len(images), generator, image_shape=SHAPE)
    leaves = {name: value.double().requires_grad_() for name, value in params.items()}
    weights = torch.rand(images.shape, generator=generator, dtype=torch.float64)
    (weights * perturbation.apply(images, leaves)).sum().backward()

    step = 1e-6
    for name in perturbation.names:
        direction = torch.rand(leaves[name].shape, generator=generator, dtype=torch.float64)
        ends = [
            (weights * perturbation.apply(images, {**leaves, name: leaves[name] + sign * step * direction}))
            .flatten(1)
            .sum(1)
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / (2 * step)
        gradient = leaves[name].grad
        assert gradient is not None
        actual = (gradient * direction).flatten(1).sum(1) if gradient.dim() > 1 else gradient * direction
        assert expected.abs().min() > 1e-4  # the comparison must not be of zeros
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def test_rotate_has_a_gradient_at_the_identity() -> None:
    degrees = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    images = pictures(dtype=torch.float64).requires_grad_()
    (Rotate().apply(images, {"rotate": degrees}) ** 2).sum().backward()
    assert degrees.grad is not None
    assert images.grad is not None
    assert (degrees.grad != 0).all()
    # d/dx of x squared is 2x where the interpolation is exact: counted once, not twice
    torch.testing.assert_close(images.grad[:, :, 2:-2, 2:-2], 2 * images.detach()[:, :, 2:-2, 2:-2])


def test_semantic_values_by_hand() -> None:
    images = torch.full((2, 3, 4, 4), 0.5)
    pair = torch.tensor([-0.2, 0.7])
    assert Brightness(-1, 1).apply(images, {"brightness": pair})[:, 0, 0, 0].tolist() == pytest.approx([0.3, 1.0])
    factors = torch.tensor([0.5, 3.0])
    assert Contrast(0, 4).apply(images, {"contrast": factors})[:, 0, 0, 0].tolist() == pytest.approx([0.25, 1.0])
    corner = torch.zeros(1, 1, 5, 5)
    corner[..., 0, 4] = 1.0  # top right; a quarter turn counter-clockwise takes it to the top left
    turned = Rotate(-90, 90).apply(corner, {"rotate": torch.tensor([90.0])})
    assert turned[0, 0, 0, 0] == pytest.approx(1.0, abs=1e-5)
    assert turned.sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linf(-0.1), r"`eps` in \[0, 1\] but got -0.1; .*write 8/255"),
        (lambda: Linf(8), r"`eps` in \[0, 1\] but got 8; .*write 8/255"),
        (lambda: Linf(float("nan")), r"`eps` in \[0, 1\] but got nan"),
        (lambda: Linf("8/zero"), r"`eps` as a number or a fraction such as 8/255 but got '8/zero'"),
        (lambda: Linf("8/"), r"`eps` as a number or a fraction such as 8/255 but got '8/'"),
        (lambda: Linf("8/0"), "a fraction such as 8/255"),
        (lambda: Brightness(0.1, 0.2), r"contains its identity 0 but got \[0.1, 0.2\]; choose low <= 0"),
        (lambda: Brightness(-2, 0.2), r"brightness in \[-1, 1\]"),
        (lambda: Contrast(-0.5, 2), "factors of at least 0"),
        (lambda: Contrast(1.1, 2), "contains its identity 1"),
        (lambda: Rotate(-200, 0), r"angles in \[-180, 180\]"),
        (lambda: Compose([]), "at least one perturbation"),
        (lambda: Compose([Rotate(), Rotate()]), r"\['rotate'\] occur twice"),
    ],
)
def test_bad_ranges(make: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_calls() -> None:
    images = pictures()
    with pytest.raises(TypeError, match=r"float32 images but got torch.bfloat16; cast only inside the model"):
        Brightness().apply(images.bfloat16(), {"brightness": torch.zeros(5)})
    with pytest.raises(ValueError, match=r"Expected parameters \['brightness'\] but got \['delta'\]"):
        Brightness().apply(images, {"delta": torch.zeros(5)})
    with pytest.raises(ValueError, match=r"`image_shape`.*pass images.shape\[1:\]"):
        Linf("1/255").sample(2)


def test_a_fraction_may_have_a_decimal_above():
    assert Linf("2.5/255").eps == 2.5 / 255
    assert Linf(" 2.5 / 255 ").eps == 2.5 / 255
