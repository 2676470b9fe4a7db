"""Warps against the formula of where each pixel comes from; filters against their kernels; identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline, RBFInterpolator
from scipy.special import ive
from torch import Tensor

from lit_vlr_callbacks.perturbations import (
    Compose,
    Elastic,
    GaussianBlur,
    MotionBlur,
    Params,
    Perspective,
    Perturbation,
    Rotate,
    Scale,
    Sharpness,
    Shear,
    ThinPlate,
    Translate,
)
from tests.callbacks.perturbations.test_every_perturbation import GEOMETRY_AND_FILTERS

H, W = 9, 12
PERTURBATIONS: list[Perturbation] = [case.values[0] for case in GEOMETRY_AND_FILTERS]
WARPS = [Rotate(), *(p for p in PERTURBATIONS if not isinstance(p, GaussianBlur | MotionBlur | Sharpness))]


def pictures(n: int = 3, height: int = H, width: int = W, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(5), dtype=dtype)


def random_params(perturbation: Perturbation, n: int, seed: int = 0) -> Params:
    params = perturbation.sample(n, torch.Generator().manual_seed(seed), image_shape=(3, H, W))
    return {name: value.double() for name, value in params.items()}


# --- where each pixel comes from


def atlas(height: int = H, width: int = W) -> Tensor:
    """A picture whose channels say where a pixel lies: bilinear interpolation of it is exact."""
    y, x = torch.meshgrid(
        torch.linspace(0, 1, height, dtype=torch.float64),
        torch.linspace(0, 1, width, dtype=torch.float64),
        indexing="ij",
    )
    return torch.stack([x, y, torch.ones_like(x)])[None]


def seen(perturbation: Perturbation, params: Params, height: int = H, width: int = W) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the perturbed picture comes from, in pixels; NaN beyond the border."""
    x, y, known = perturbation.apply(atlas(height, width), params)[0]
    x, y = (torch.where(known > 1 - 1e-9, place, torch.nan) for place in (x, y))
    return x.numpy() * (width - 1), y.numpy() * (height - 1)


def rotation(angle: float, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Counter-clockwise as seen, with y downwards: (1, 0) goes to (cos, -sin). Backwards is the transpose.
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    u, v = x - (W - 1) / 2, y - (H - 1) / 2
    return c * u - s * v + (W - 1) / 2, s * u + c * v + (H - 1) / 2


def zoom(factor: float, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x - (W - 1) / 2) / factor + (W - 1) / 2, (y - (H - 1) / 2) / factor + (H - 1) / 2


def slant(angle_x: float, angle_y: float, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    forward = np.array([[1, math.tan(math.radians(angle_x))], [math.tan(math.radians(angle_y)), 1]])
    centre = np.array([(W - 1) / 2, (H - 1) / 2])[:, None]
    back = np.linalg.solve(forward, np.stack([x.ravel(), y.ravel()]) - centre) + centre
    return back[0].reshape(x.shape), back[1].reshape(x.shape)


def homography(offsets: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the eight equations of four pairs of points, from where they went to where they were."""
    corners = np.array([[0, 0], [W - 1, 0], [W - 1, H - 1], [0, H - 1]], dtype=float)
    equations, values = [], []
    for (u, v), (a, b) in zip(corners + offsets * [W, H], corners, strict=True):
        equations += [[u, v, 1, 0, 0, 0, -u * a, -v * a], [0, 0, 0, u, v, 1, -u * b, -v * b]]
        values += [a, b]
    m = np.append(np.linalg.solve(np.array(equations), np.array(values)), 1).reshape(3, 3)
    back = m @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return (back[0] / back[2]).reshape(x.shape), (back[1] / back[2]).reshape(x.shape)


def splines(offsets: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = offsets.shape[1]
    basis = BSpline(np.arange(-3, n + 1), np.eye(n), 3)
    rows, columns = basis((n - 3) * y[:, 0] / (H - 1)), basis((n - 3) * x[0] / (W - 1))
    way = np.einsum("yi,cij,xj->cyx", rows, offsets, columns)
    return x - W * way[0], y - H * way[1]


def thin_plate(offsets: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = math.isqrt(len(offsets))
    centres = np.array([[j / (n - 1), i / (n - 1)] for i in range(n) for j in range(n)])
    places = np.stack([x.ravel() / (W - 1), y.ravel() / (H - 1)], 1)
    way = RBFInterpolator(centres, offsets, kernel="thin_plate_spline", degree=1)(places)
    return x - W * way[:, 0].reshape(x.shape), y - H * way[:, 1].reshape(x.shape)


SOURCES = {
    "rotate": (Rotate(-90, 90), lambda p, x, y: rotation(float(p["rotate"]), x, y)),
    "translate": (
        Translate(0.3, 0.3),
        lambda p, x, y: (x - W * float(p["translate_x"]), y - H * float(p["translate_y"])),
    ),
    "scale": (Scale(0.7, 3), lambda p, x, y: zoom(float(p["scale"]), x, y)),
    "shear": (Shear(40, 40), lambda p, x, y: slant(float(p["shear_x"]), float(p["shear_y"]), x, y)),
    "perspective": (Perspective(0.24), lambda p, x, y: homography(p["perspective"][0].numpy(), x, y)),
    "elastic": (Elastic(0.2, grid=5), lambda p, x, y: splines(p["elastic"][0].numpy(), x, y)),
    "elastic-4": (Elastic(0.2, grid=4), lambda p, x, y: splines(p["elastic"][0].numpy(), x, y)),
    "thin-plate": (ThinPlate(0.12, grid=4), lambda p, x, y: thin_plate(p["thin_plate"][0].numpy(), x, y)),
    "thin-plate-2": (ThinPlate(0.2, grid=2), lambda p, x, y: thin_plate(p["thin_plate"][0].numpy(), x, y)),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", SOURCES)
def test_every_pixel_comes_from_where_the_formula_says(name: str, seed: int) -> None:
    perturbation, source = SOURCES[name]
    params = random_params(perturbation, 1, seed)
    y, x = np.mgrid[:H, :W].astype(float)
    expected = source(params, x, y)
    inside = (expected[0] >= 0) & (expected[0] <= W - 1) & (expected[1] >= 0) & (expected[1] <= H - 1)
    assert inside.sum() > H * W / 4
    for found, wanted in zip(seen(perturbation, params), expected, strict=True):
        np.testing.assert_allclose(found[inside], wanted[inside], atol=1e-9)
    assert np.hypot(expected[0] - x, expected[1] - y).max() > 0.2  # it did move


def test_corners_go_where_they_are_sent() -> None:
    """By whole pixels, so that the corner pixel itself is found there."""
    images = pictures(1, dtype=torch.float64)
    pixels = torch.tensor([[1.0, 2.0], [-2.0, 1.0], [-1.0, -2.0], [2.0, -1.0]])  # all inwards
    offsets = (pixels / torch.tensor([W, H])).double()[None]
    attacked = Perspective(0.24).apply(images, {"perspective": offsets})
    for (row, column), (right, down) in zip(
        [(0, 0), (0, W - 1), (H - 1, W - 1), (H - 1, 0)], pixels.int().tolist(), strict=True
    ):
        torch.testing.assert_close(
            attacked[0, :, row + down, column + right], images[0, :, row, column], atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("make", [Perspective, Elastic, ThinPlate])
def test_equal_offsets_are_a_translation(make: type, padding: str) -> None:
    images = pictures(dtype=torch.float64)
    threat = make(0.1, padding=padding)
    x, y = torch.tensor([0.05, -0.1, 0.02]).double(), torch.tensor([-0.07, 0.03, 0.1]).double()
    (name,) = threat.names
    shape = threat.shapes(None)[name]
    offsets = torch.stack([x, y], 1)
    offsets = offsets.view(3, *((2, 1, 1) if shape[0] == 2 else (1, 2))).expand(3, *shape)
    moved = Translate(0.2, 0.2, padding=padding).apply(images, {"translate_x": x, "translate_y": y})
    torch.testing.assert_close(threat.apply(images, {name: offsets}), moved, atol=1e-9, rtol=0)


def test_a_translation_by_whole_pixels_is_a_roll() -> None:
    images = pictures(2)
    params = {"translate_x": torch.tensor([2.0, -3.0]) / W, "translate_y": torch.tensor([-1.0, 4.0]) / H}
    for padding in ("zeros", "border", "reflection"):
        moved = Translate(0.5, 0.5, padding).apply(images, params)
        right = images[0].roll((2, -1), (2, 1))
        torch.testing.assert_close(moved[0, :, :-1, 2:], right[:, :-1, 2:], atol=1e-5, rtol=0)
        left = images[1].roll((-3, 4), (2, 1))
        torch.testing.assert_close(moved[1, :, 4:, :-3], left[:, 4:, :-3], atol=1e-5, rtol=0)
        beyond = {
            "zeros": torch.zeros(3, H - 1, 2),
            "border": images[0, :, 1:, :1].expand(3, H - 1, 2),
            "reflection": images[0, :, 1:, [2, 1]],
        }[padding]
        torch.testing.assert_close(moved[0, :, :-1, :2], beyond, atol=1e-5, rtol=0)


def test_a_thin_plate_does_not_bend_where_it_need_not() -> None:
    """Offsets that are linear in y are a shear: x + tan(a) (y - centre)."""
    images = pictures(1, dtype=torch.float64)
    slope = math.tan(math.radians(15))
    y = torch.linspace(-1, 1, 3).double() * (H - 1) / 2
    offsets = torch.zeros(1, 9, 2, dtype=torch.float64)
    offsets[0, :, 0] = (slope * y / W).repeat_interleave(3)
    sheared = Shear(20, 0).apply(
        images, {"shear_x": torch.tensor([15.0]).double(), "shear_y": torch.zeros(1, dtype=torch.float64)}
    )
    torch.testing.assert_close(ThinPlate(0.2).apply(images, {"thin_plate": offsets}), sheared, atol=1e-9, rtol=0)


def test_no_pixel_moves_further_than_the_magnitude() -> None:
    threat = Elastic(0.1, grid=6)
    for seed in range(20):
        sign = torch.randint(0, 2, (1, 2, 6, 6), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
        x, y = seen(threat, {"elastic": 0.1 * sign})
        assert np.nanmax(np.abs(x - np.arange(W))) <= 0.1 * W + 1e-9
        assert np.nanmax(np.abs(y - np.arange(H)[:, None])) <= 0.1 * H + 1e-9


def _folds(factor: float) -> bool:
    """Whether some deformation with offsets of ``factor`` times the limit turns a patch of the picture over."""
    limit, side = 0.5 / 2.046392675, 65  # of 5 control points a side
    threat = Elastic(0.99 * limit, grid=5)
    for seed in range(40):
        sign = torch.randint(0, 2, (1, 2, 5, 5), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
        x, y = seen(threat, {"elastic": factor * limit * sign}, side, side)
        (x_down, x_right), (y_down, y_right) = np.gradient(x), np.gradient(y)
        if np.nanmin(x_right * y_down - x_down * y_right) <= 0:
            return True
    return False


def test_the_largest_elastic_deformation_does_not_fold_and_larger_ones_do() -> None:
    assert not _folds(0.99)
    assert _folds(2.0)


# --- filters


@pytest.mark.parametrize("variance", [0.01, 0.5, 2.25])
def test_gaussian_blur_is_the_discrete_gaussian(variance: float) -> None:
    """What a single bright pixel becomes: exp(-t) I_n(t) down and across, scaled to sum 1."""
    point = torch.zeros(1, 1, 21, 25, dtype=torch.float64)
    point[..., 10, 12] = 1.0
    spread = GaussianBlur(1.5).apply(point, {"blur_variance": torch.tensor([variance]).double()})[0, 0]
    weights = ive(np.abs(np.arange(-6, 7)), variance)
    weights /= weights.sum()
    np.testing.assert_allclose(spread[4:17, 6:19].numpy(), np.outer(weights, weights), atol=1e-12)
    assert spread.sum() == pytest.approx(1.0)  # the mean is kept
    across = (spread.sum(0).numpy() * (np.arange(25) - 12) ** 2).sum()
    assert across == pytest.approx(variance, rel=5e-3)  # less than t, since cut off at four sigma


def test_two_blurs_are_one_of_the_summed_variance() -> None:
    point = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    point[..., 20, 20] = 1.0
    threat = GaussianBlur(3)
    first, second, both = ({"blur_variance": torch.tensor([t], dtype=torch.float64)} for t in (0.7, 1.6, 2.3))
    torch.testing.assert_close(
        threat.apply(threat.apply(point, first), second), threat.apply(point, both), atol=1e-9, rtol=0
    )


def test_blurring_has_half_the_laplacian_as_its_slope_at_the_identity() -> None:
    point = torch.full((1, 1, 9, 11), 0.25, dtype=torch.float64)
    point[..., 4, 5] = 0.5
    variance = torch.zeros(1, dtype=torch.float64)
    _, slope = torch.func.jvp(
        lambda t: GaussianBlur(2).apply(point, {"blur_variance": t}), (variance,), (torch.ones_like(variance),)
    )
    expected = torch.zeros_like(point)
    expected[..., 4, 5] = 4 * -0.25 / 2
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        expected[..., 4 + down, 5 + right] = 0.25 / 2
    torch.testing.assert_close(slope, expected, atol=1e-9, rtol=0)


def test_a_blur_beyond_the_border_repeats_it() -> None:
    """A flat picture stays flat up to its edge, also where the kernel is larger than the picture."""
    flat = torch.full((1, 3, 2, 3), 0.7)
    blurred = GaussianBlur(4).apply(flat, {"blur_variance": torch.tensor([16.0])})
    torch.testing.assert_close(blurred, flat)
    params = {"motion_strength": torch.ones(1), "motion_angle": torch.tensor([30.0]), "motion_direction": torch.ones(1)}
    torch.testing.assert_close(MotionBlur(kernel_size=9).apply(flat, params), flat)


def _smeared(strength: float, angle: float, direction: float) -> Tensor:
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 1.0
    values = {"motion_strength": strength, "motion_angle": angle, "motion_direction": direction}
    return MotionBlur(kernel_size=3).apply(point, {name: torch.tensor([float(v)]) for name, v in values.items()})[
        0, 0, 1:4, 1:4
    ]


def test_motion_blur_by_hand() -> None:
    third = [1 / 3] * 3
    assert _smeared(1, 0, 0)[1].tolist() == pytest.approx(third)
    assert _smeared(1, 90, 0)[:, 1].tolist() == pytest.approx(third, abs=1e-6)
    assert _smeared(0.5, 0, 0)[1].tolist() == pytest.approx([1 / 6, 2 / 3, 1 / 6])
    assert _smeared(1, 0, 1)[1].tolist() == pytest.approx([0, 1 / 3, 2 / 3])  # a streak to the right
    assert _smeared(1, 0, -1)[1].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert _smeared(1, 45, 0).sum().item() == pytest.approx(1.0)
    assert torch.equal(_smeared(0, 37, 0.5), _smeared(0, 0, 0))  # no strength, no change
    # Counter-clockwise: the line of 45 degrees goes from the bottom left to the top right.
    turned = _smeared(1, 45, 0)
    assert turned[0, 2] == pytest.approx(turned[2, 0].item(), abs=1e-6)
    assert turned[0, 2] > 0.05 > turned[0, 0]


def test_sharpness_by_hand() -> None:
    point = torch.full((4, 1, 5, 5), 0.5)
    point[..., 2, 2] = 0.63
    factors = torch.tensor([0.0, 0.5, 2.0, 1.0])
    middle = Sharpness().apply(point, {"sharpness": factors})[:, 0]
    # The smoothed middle is .5 + .13 * 5/13 = .55, a smoothed neighbour .5 + .13 / 13 = .51.
    assert middle[:, 2, 2].tolist() == pytest.approx([0.55, 0.59, 0.71, 0.63])
    assert middle[:, 1, 2].tolist() == pytest.approx([0.51, 0.505, 0.49, 0.5])
    assert middle[:, 0, 0].tolist() == [0.5] * 4
    bright = torch.full((1, 1, 5, 5), 0.9)
    bright[..., 2, 2] = 1.0
    assert Sharpness().apply(bright, {"sharpness": torch.tensor([2.0])}).max() == 1.0  # clipped


# --- identities and their gradients


@pytest.mark.parametrize("perturbation", [Rotate(), *PERTURBATIONS], ids=str)
def test_rows_at_the_identity_are_bit_equal_among_others(perturbation: Perturbation) -> None:
    images = pictures(4)
    params = perturbation.sample(4, torch.Generator().manual_seed(2), image_shape=(3, H, W))
    neutral = perturbation.neutral(4, image_shape=(3, H, W))
    for name in params:
        params[name][1], params[name][3] = neutral[name][1], neutral[name][3]
    attacked = perturbation.apply(images, params)
    assert torch.equal(attacked[1::2], images[1::2])
    assert (attacked[::2] != images[::2]).flatten(1).any(1).all()


@pytest.mark.parametrize("perturbation", [Rotate(), *PERTURBATIONS], ids=str)
def test_there_is_a_gradient_at_the_identity(perturbation: Perturbation) -> None:
    images = pictures(dtype=torch.float64).requires_grad_()
    params = {
        name: value.double().requires_grad_() for name, value in perturbation.neutral(3, image_shape=(3, H, W)).items()
    }
    (perturbation.apply(images, params) ** 2).sum().backward()
    for name, value in params.items():
        assert value.grad is not None
        if name in ("motion_angle", "motion_direction"):
            assert (value.grad == 0).all()  # as documented: without strength they do nothing
        else:
            assert (value.grad.reshape(3, -1).abs().amax(1) > 1e-3).all()
    assert images.grad is not None
    # d/dx of x squared is 2x where the picture stays itself: counted once, not twice.
    torch.testing.assert_close(images.grad[:, :, 2:-2, 2:-2], 2 * images.detach()[:, :, 2:-2, 2:-2])


@pytest.mark.parametrize("perturbation", WARPS, ids=str)
def test_the_gradient_at_the_identity_points_the_right_way(perturbation: Perturbation) -> None:
    """On a smooth picture the one-sided slope is near the central difference over half a pixel."""
    height, width = 36, 48
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    images = torch.stack([0.5 + 0.4 * torch.sin(x / 9 + k) * torch.cos(y / 7 - k) for k in range(6)]).view(
        2, 3, height, width
    )
    weights = torch.zeros_like(images)
    weights[:, :, 6:-6, 6:-6] = 1.0  # away from the border
    weights = weights * images.flip(0)
    start = {k: v.double() for k, v in perturbation.neutral(2, image_shape=(3, height, width)).items()}
    for name in perturbation.names:
        if name == "blur_variance":
            continue  # starts at the end of its range
        way = torch.rand(start[name].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        reach = 0.5 / 48 if perturbation.high[name] < 1 else 0.01 if name == "scale" else 1.0

        def value(step: Tensor, name: str = name, way: Tensor = way) -> Tensor:
            return (weights * perturbation.apply(images, {**start, name: start[name] + step * way})).sum((1, 2, 3))

        zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
        slope = torch.stack([torch.autograd.grad(value(zero)[i], zero)[0] for i in range(2)])
        with torch.no_grad():
            expected = (value(zero + reach) - value(zero - reach)) / (2 * reach)
        torch.testing.assert_close(slope, expected, rtol=0.15, atol=0.02 * float(expected.abs().max()))


def test_a_first_call_in_inference_mode_does_not_poison_later_gradients() -> None:
    """What a picture size needs is computed once and kept."""
    images = pictures(1, 11, 13)
    for threat in (ThinPlate(grid=5, magnitude=0.1), Elastic()):
        with torch.inference_mode():
            threat.apply(images, threat.sample(1))
        params = {name: value.requires_grad_() for name, value in threat.sample(1).items()}
        threat.apply(images, params).sum().backward()
        assert all(value.grad is not None and (value.grad != 0).any() for value in params.values())


# --- invariants


@settings(max_examples=80, deadline=None)
@given(
    perturbation=st.sampled_from([Rotate(), *PERTURBATIONS]),
    seed=st.integers(0, 2**16),
    height=st.integers(3, 14),
    width=st.integers(3, 14),
    fraction=st.sampled_from([0.0, 1e-3, 0.5, 1.0]),
)
def test_range_pixels_and_rows(perturbation: Perturbation, seed: int, height: int, width: int, fraction: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(4, 3, height, width, generator=generator)
    images[0] = images[0].round()  # black and white, where overshoot would show
    threat = perturbation.scaled(fraction)
    params = threat.sample(4, generator, image_shape=(3, height, width))
    for name, value in params.items():
        low, high = torch.tensor([threat.low[name], threat.high[name]])
        assert low <= value.min() <= value.max() <= high
        assert torch.equal(threat.project(params)[name], value)
    attacked = threat.apply(images, params)
    assert 0 <= attacked.min() <= attacked.max() <= 1  # and no NaN
    order = torch.randperm(4, generator=generator)
    again = threat.apply(images[order], {name: value[order] for name, value in params.items()})
    torch.testing.assert_close(again, attacked[order], atol=1e-6, rtol=0)
    if fraction == 0:
        assert torch.equal(attacked, images)


def test_the_frame_is_kept_by_shapes() -> None:
    assert Perspective().shapes((3, 5, 7)) == {"perspective": (4, 2)}
    assert Elastic(grid=5).neutral(2)["elastic"].shape == (2, 2, 5, 5)
    assert ThinPlate(grid=4).sample(3)["thin_plate"].shape == (3, 16, 2)


# --- what is said


def test_repr_tells_all_that_shapes_the_pictures() -> None:
    assert repr(Rotate(-5, 5, "border")) == "Rotate(rotate=[-5, 5], padding='border')"
    assert repr(Scale(0.5, 2)) == "Scale(scale=[0.5, 2], padding='zeros')"
    assert repr(Elastic(0.03, 5)) == "Elastic(elastic=[-0.03, 0.03], grid=5, padding='zeros')"
    assert "grid=4, padding='border'" in repr(ThinPlate(0.1, 4, "border"))
    assert repr(MotionBlur(kernel_size=5)).endswith("motion_direction=[-1, 1], kernel_size=5)")
    assert repr(Compose([Rotate(-5, 5, "border"), Sharpness()])) == (
        "Compose([Rotate(rotate=[-5, 5], padding='border'), Sharpness(sharpness=[0, 2])])"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotate(padding="black"), r"`padding` among \['zeros', 'border', 'reflection'\] but got 'black'"),
        (lambda: Translate(x=-0.1), r"`x` and `y` in \[0, 1\] but got \[-0.1, 0.1\]; they are fractions of the side"),
        (lambda: Translate(y=20), r"`x` and `y` in \[0, 1\] but got \[0.1, 20.0\]; they are fractions of the side"),
        (lambda: Translate(x=float("nan")), r"`x` and `y` in \[0, 1\]"),
        (lambda: Scale(0, 2), "scale factors above 0 but got low=0; 1 is the identity"),
        (lambda: Scale(1.1, 2), "contains its identity 1"),
        (lambda: Shear(x=45), r"`x` and `y` in \[0, 45\) but got \[45.0, 10.0\]; they are degrees"),
        (lambda: Shear(y=-5), r"`x` and `y` in \[0, 45\)"),
        (lambda: Perspective("1/4"), r"`magnitude` in \[0, 1/4\) but got 0.25; .*corners must stay corners"),
        (lambda: Perspective(-0.1), r"`magnitude` in \[0, 1/4\)"),
        (lambda: Elastic(0.13), r"`magnitude` in \[0, 0.122\) but got 0.13; .*lower it, or `grid`, which is 7"),
        (lambda: Elastic(-0.1), r"`magnitude` in \[0, 0.122\)"),
        (lambda: Elastic(grid=3), "`grid` of at least 4 but got 3"),
        (lambda: ThinPlate(0.25), r"`magnitude` in \[0, 0.25\) but got 0.25; .*lower it, or `grid`, which is 3"),
        (lambda: ThinPlate(grid=1), "`grid` of at least 2 but got 1"),
        (lambda: GaussianBlur(-1), "`sigma` of at least 0 but got -1; it is in pixels"),
        (lambda: GaussianBlur(float("inf")), "`sigma` of at least 0 but got inf"),
        (lambda: GaussianBlur("wide"), "`sigma` as a number or a fraction"),
        (lambda: MotionBlur(strength=1.5), r"`strength` in \[0, 1\] but got 1.5; it is the greatest magnitude"),
        (lambda: MotionBlur(angle=180), r"`angle` in \[0, 90\] but got 180"),
        (lambda: MotionBlur(direction=-1), r"`direction` in \[0, 1\] but got -1"),
        (lambda: MotionBlur(kernel_size=4), "`kernel_size` odd and at least 3 but got 4"),
        (lambda: MotionBlur(kernel_size=1), "`kernel_size` odd and at least 3 but got 1"),
        (lambda: Sharpness(-0.5, 2), "sharpness factors of at least 0 but got low=-0.5"),
        (lambda: Sharpness(1.5, 2), "contains its identity 1"),
    ],
)
def test_bad_settings(make: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
