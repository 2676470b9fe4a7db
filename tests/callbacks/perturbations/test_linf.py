"""The ball is exact."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr_callbacks.perturbations import Linf


def test_fractions_and_numbers_agree() -> None:
    assert Linf("8/255").eps == Linf(8 / 255).eps == Linf(" 8 / 255").eps == 8 / 255
    assert Linf("0.25").eps == 0.25


@settings(max_examples=60, deadline=None)
@given(
    eps=st.one_of(st.floats(0, 1), st.sampled_from([1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255])),
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1e-6, 1e-3, 0.1, 1.0]),
)
def test_never_beyond_eps(eps: float, seed: int, scale: float) -> None:
    """In float64, where differences of float32 pixels in [0, 1] are exact (or round monotonically)."""
    generator = torch.Generator().manual_seed(seed)
    images = (scale * torch.rand(2, 3, 16, 16, generator=generator)).clamp(0, 1)
    images[0, 0] = images[0, 0].round()  # zeros and ones
    images[0, 1, 0], images[0, 1, 1] = 1.0, 0.5
    corners = eps * torch.randint(-1, 2, images.shape, generator=generator)
    beyond = 3 * (torch.rand(images.shape, generator=generator) - 0.5)
    threat = Linf(eps)
    for delta in (corners, beyond, threat.project({"delta": beyond}, images)["delta"]):
        attacked = threat.apply(images, {"delta": delta})
        assert (attacked.double() - images.double()).abs().max() <= eps
        assert 0 <= attacked.min() <= attacked.max() <= 1


def test_plain_addition_does_leave_the_ball() -> None:
    """The test above is not vacuous: the obvious implementation fails it."""
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    attacked = (images + 8 / 255).clamp(0, 1)
    assert (attacked.double() - images.double()).abs().max() > 8 / 255


def test_the_ball_is_used_up() -> None:
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)).clamp(0.1, 0.9)
    attacked = Linf("8/255").apply(images, {"delta": torch.ones_like(images)})
    difference = (attacked.double() - images.double()).numpy().ravel()
    assert difference.min() > float(Fraction(8, 255)) - 1.5e-7  # within two units in the last place of a pixel


def test_projection_keeps_pixels_in_range_and_their_gradient() -> None:
    images = torch.tensor([0.0, 1.0, 0.3, 0.99]).view(1, 1, 2, 2)
    threat = Linf("8/255")
    delta = threat.project({"delta": torch.full_like(images, 0.5)}, images)["delta"]
    assert delta.flatten().tolist() == pytest.approx([8 / 255, 0.0, 8 / 255, 0.01], abs=1e-6)
    delta.requires_grad_()
    threat.apply(images, {"delta": delta}).sum().backward()
    assert delta.grad is not None
    assert delta.grad.flatten().tolist() == [1.0] * 4  # also at the white pixel
