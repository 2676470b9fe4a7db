"""Order, projection and scaling of composed perturbations."""

from __future__ import annotations

import torch

from lit_vlr_callbacks.perturbations import Brightness, Compose, Contrast, Linf, Rotate


def test_eps_is_relative_to_the_transformed_picture() -> None:
    images = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    semantic = Compose([Rotate(-30, 30), Contrast(0.5, 1.5)])
    both = Compose([Linf("4/255"), Rotate(-30, 30), Contrast(0.5, 1.5)])  # given first, applied last
    assert both.names == ("rotate", "contrast", "delta")
    params = both.sample(4, torch.Generator().manual_seed(1), image_shape=(3, 12, 12))
    params["delta"] = 4 / 255 * params["delta"].sign()
    transformed = semantic.apply(images, {name: params[name] for name in semantic.names})
    attacked = both.apply(images, params)
    assert (attacked.double() - transformed.double()).abs().max() <= 4 / 255
    assert (attacked - images).abs().max() > 8 / 255


def test_a_nested_compose_with_a_ball_also_comes_last() -> None:
    assert Compose([Compose([Linf("1/255"), Rotate()]), Brightness()]).names == ("brightness", "rotate", "delta")


def test_order_given_is_order_applied() -> None:
    images = torch.full((1, 3, 4, 4), 0.4)
    params = {"brightness": torch.tensor([0.2]), "contrast": torch.tensor([0.5])}
    assert torch.allclose(Compose([Brightness(), Contrast(0.5)]).apply(images, params), torch.tensor(0.3))
    assert torch.allclose(Compose([Contrast(0.5), Brightness()]).apply(images, params), torch.tensor(0.4))


def test_projection_sees_the_transformed_picture() -> None:
    images = torch.full((1, 3, 4, 4), 0.5)
    threat = Compose([Linf(0.2), Brightness(-0.45, 0.45)])
    params = {"brightness": torch.tensor([0.45]), "delta": torch.full_like(images, 0.2)}
    projected = threat.project(params, images)
    assert torch.allclose(projected["delta"], torch.tensor(0.05))  # 0.5 + 0.45 + 0.05 = 1
    assert torch.allclose(threat.project(params)["delta"], torch.tensor(0.2))


def test_a_step_moves_every_parameter_by_the_same_part_of_its_range() -> None:
    threat = Compose([Linf("8/255"), Rotate(-10, 20), Brightness(-0.1, 0.1)])
    start = threat.neutral(2, image_shape=(3, 4, 4))
    gradient = {name: torch.full_like(value, 1e-7) for name, value in start.items()}
    moved = threat.ascend(start, gradient, 0.5)
    for name in threat.names:
        expected = torch.full_like(moved[name], 0.25 * (threat.high[name] - threat.low[name]))
        torch.testing.assert_close(moved[name], expected)


def test_scaled_scales_every_part() -> None:
    half = Compose([Linf("8/255"), Contrast(0.5, 2.0)]).scaled(0.5)
    assert half.low == {"contrast": 0.75, "delta": -4 / 255}
    assert half.high == {"contrast": 1.5, "delta": 4 / 255}
