"""L2, L1, L0 and patches: the bounds are exact, the projections nearest, the steps steepest."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from lit_vlr_callbacks.attacks import PGD, RandomSearch
from lit_vlr_callbacks.perturbations import L0, L1, L2, Compose, Linf, Patch, Perturbation
from tests.callbacks.attacks.test_attacks import Digits
from tests.oracles.projections import l1_ball_and_box, l2_ball_and_box

RADII = st.one_of(st.floats(0, 1e-3), st.floats(0, 300), st.sampled_from([5e-324, 1e-44, 0.5, 1.0, 12.0]))


def pictures(seed: int, scale: float = 1.0, n: int = 2, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = (scale * torch.rand(n, 3, size, size, generator=generator)).clamp(0, 1)
    images[0, 0] = images[0, 0].round()  # zeros and ones
    images[0, 1, 0], images[0, 1, 1] = 1.0, 0.5
    return images


def length(perturbation: Perturbation, change: Tensor) -> Tensor:
    """The norm of each row in float64."""
    order = 2 if isinstance(perturbation, L2) else 1
    return torch.linalg.vector_norm(change.double().flatten(1), order, dim=1)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


# --- the bounds


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([L1, L2]),
    eps=RADII,
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1e-6, 1e-3, 0.1, 1.0]),
    size=st.sampled_from([1e-4, 1.0, 100.0]),
)
def test_the_norm_is_never_beyond_eps(kind: type, eps: float, seed: int, scale: float, size: float) -> None:
    """In float64, where differences of float32 pixels in [0, 1] are exact (or round monotonically)."""
    images = pictures(seed, scale)
    generator = torch.Generator().manual_seed(seed)
    threat = kind(eps)
    name = threat.names[0]
    far = size * torch.randn(images.shape, generator=generator)
    far[1, 0] = 0.0
    drawn = threat.sample(2, generator, image_shape=(3, 16, 16))
    on_sphere = {name: (eps * far.double() / length(threat, far).view(-1, 1, 1, 1)).float()}
    candidates = [{name: far}, on_sphere, drawn, threat.project({name: far}), threat.project({name: far}, images)]
    for params in (*candidates, threat.ascend(drawn, {name: far}, 1.0)):
        attacked = threat.apply(images, params)
        assert (length(threat, attacked.double() - images.double()) <= eps).all()
        assert 0 <= attacked.min() <= attacked.max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    pixels=st.integers(1, 300),
    eps=st.one_of(st.floats(0, 1), st.just(1.0)),
    seed=st.integers(0, 2**16),
    size=st.sampled_from([1e-3, 1.0, 100.0]),
)
def test_l0_changes_few_places_by_at_most_eps(pixels: int, eps: float, seed: int, size: float) -> None:
    images = pictures(seed)
    generator = torch.Generator().manual_seed(seed)
    threat = L0(pixels, eps)
    far = size * torch.randn(images.shape, generator=generator)
    drawn = threat.sample(2, generator, image_shape=(3, 16, 16))
    candidates = [far, drawn["delta_l0"], threat.project({"delta_l0": far}, images)["delta_l0"]]
    candidates.append(threat.ascend(drawn, {"delta_l0": far}, 0.3)["delta_l0"])
    for delta in candidates:
        attacked = threat.apply(images, {"delta_l0": delta})
        change = attacked.double() - images.double()
        assert change.abs().max() <= eps
        assert (change.abs().amax(1).flatten(1) > 0).sum(1).max() <= pixels
        assert 0 <= attacked.min() <= attacked.max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    place=st.one_of(st.none(), st.tuples(st.floats(0, 1), st.floats(0, 1))),
    eps=st.one_of(st.floats(0, 1), st.just(1.0)),
    seed=st.integers(0, 2**16),
)
def test_a_patch_changes_one_rectangle_by_at_most_eps(sides, place, eps: float, seed: int) -> None:
    images = pictures(seed)
    top, left = place or (None, None)
    threat = Patch(*sides, top=top, left=left, eps=eps)
    generator = torch.Generator().manual_seed(seed)
    drawn = threat.sample(2, generator, image_shape=(3, 16, 16))
    far = drawn | {"patch": 3 * torch.randn(drawn["patch"].shape, generator=generator)}
    for params in (drawn, far, threat.project(far, images), threat.ascend(drawn, far, 1.0)):
        attacked = threat.apply(images, params)
        change = (attacked.double() - images.double()).abs().amax(1)
        assert change.max() <= eps
        assert 0 <= attacked.min() <= attacked.max() <= 1
        for touched in change > 0:
            for extent, side in ((touched.any(1), sides[0]), (touched.any(0), sides[1])):
                where = extent.nonzero().flatten()
                assert len(where) == 0 or where.max() - where.min() < side


@pytest.mark.parametrize(("threat", "slack"), [(L2(0.5), 1e-5), (L1(12), 1e-4)], ids=["l2", "l1"])
def test_plain_addition_does_leave_the_ball_and_ours_uses_it_up(threat: L1 | L2, slack: float) -> None:
    images = 0.2 + 0.6 * torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    delta = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    plain = images + delta * (threat.eps / length(threat, delta)).float().view(-1, 1, 1, 1)
    assert (length(threat, plain.double() - images.double()) > threat.eps).any()
    name = threat.names[0]
    for params in ({name: delta}, threat.project({name: delta}, images)):
        used = length(threat, threat.apply(images, params).double() - images.double())
        assert (used > (1 - slack) * threat.eps).all()


# --- the projections


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from([L1, L2]),
    share=st.one_of(st.floats(0.001, 1.2), st.floats(0.95, 1.0)),
    seed=st.integers(0, 2**16),
    size=st.sampled_from([0.05, 1.0, 30.0]),
    inside=st.booleans(),
)
def test_projection_is_the_nearest_point_of_ball_and_box(kind, share: float, seed: int, size: float, inside) -> None:
    images = pictures(seed, size=4)
    delta = size * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    ways = torch.where(delta > 0, 1 - images, images) if inside else torch.full_like(delta, 1e9)
    eps = share * float(length(kind(1), delta.abs().minimum(ways)).mean())  # from deep inside to just beyond the box
    threat = kind(eps)
    found = threat.project({threat.names[0]: delta}, images if inside else None)[threat.names[0]]
    oracle = l1_ball_and_box if kind is L1 else l2_ball_and_box
    for row, v, x in zip(found.flatten(1), delta.double().flatten(1), images.double().flatten(1), strict=True):
        room = torch.where(v > 0, 1 - x, x) if inside else torch.full_like(v, 1e9)
        nearest = torch.tensor(oracle(v.abs().tolist(), room.tolist(), eps), dtype=torch.float64) * v.sign()
        torch.testing.assert_close(row.double(), nearest, atol=1e-6 * max(1.0, eps), rtol=1e-6)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("kind", [L1, L2])
def test_projection_obeys_the_variational_inequality(kind: type, size: float) -> None:
    """p is the projection of v onto a convex set if <v - p, z - p> <= 0 for all z of the set; no algorithm needed."""
    images = pictures(3, n=4)
    v = size * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    threat = kind(2.0)
    name = threat.names[0]
    p = threat.project({name: v}, images)[name].double()
    generator = torch.Generator().manual_seed(1)
    for scale in (0.01, 1.0, 100.0):
        z = threat.project({name: scale * torch.randn(images.shape, generator=generator)}, images)[name].double()
        products = ((v.double() - p) * (z - p)).flatten(1).sum(1)
        assert (products <= 1e-5 * max(size, 1e-3) * 2.0).all()


def test_projections_by_hand() -> None:
    images = torch.tensor([0.0, 0.9, 0.5, 0.5]).view(1, 1, 2, 2)
    # L1: the rooms are 0, 0.1, 0.5 and 0.5. With a cut of 0.1 the rest of (1, 0.4, 0.4, -0.3) is 0, 0.1, 0.3 and 0.2.
    v = torch.tensor([-1.0, 0.4, 0.4, -0.3]).view(1, 1, 2, 2)
    found = L1(0.6).project({"delta_l1": v}, images)["delta_l1"]
    assert found.flatten().tolist() == pytest.approx([0.0, 0.1, 0.3, -0.2], abs=1e-7)
    # L2: with s = 1/2 of (-1, 0.4, 0.6, -0.8): 0, 0.1 (stopped), 0.3, -0.4; 0.01 + 0.09 + 0.16 = 0.26.
    v = torch.tensor([-1.0, 0.4, 0.6, -0.8]).view(1, 1, 2, 2)
    found = L2(0.26**0.5).project({"delta_l2": v}, images)["delta_l2"]
    assert found.flatten().tolist() == pytest.approx([0.0, 0.1, 0.3, -0.4], abs=1e-7)
    # L0 keeps the place that saves most, not the largest: -1 cannot be used at a black pixel.
    found = L0(2).project({"delta_l0": v}, images)["delta_l0"]
    assert found.flatten().tolist() == pytest.approx([0.0, 0.0, 0.5, -0.5])


# --- steps


def test_steps_by_hand() -> None:
    start = torch.zeros(1, 1, 2, 2)
    slope = torch.tensor([3.0, -4.0, 0.0, 0.0]).view(1, 1, 2, 2)
    moved = L2(0.5).ascend({"delta_l2": start}, {"delta_l2": 1e-30 * slope}, 0.5)["delta_l2"]
    assert moved.flatten().tolist() == pytest.approx([0.15, -0.2, 0.0, 0.0])  # a quarter along (3, -4) / 5
    moved = L1(0.5, density=0.25).ascend({"delta_l1": start}, {"delta_l1": slope}, 0.5)["delta_l1"]
    assert moved.flatten().tolist() == [0.0, -0.25, 0.0, 0.0]
    moved = L1(0.5, density=1).ascend({"delta_l1": start}, {"delta_l1": slope}, 0.5)["delta_l1"]
    assert moved.flatten().tolist() == [0.125, -0.125, 0.0, 0.0]  # where the slope is zero there is nowhere to go
    half = torch.tensor([0.0, 0.0, 0.5, 0.0]).view(1, 1, 2, 2)
    moved = L0(1).ascend({"delta_l0": half}, {"delta_l0": slope}, 0.6)["delta_l0"]
    assert moved.flatten().tolist() == [0.0, -1.0, 0.5, 0.0]


@pytest.mark.parametrize("threat", [L2(0.5), L1(3), L0(2)], ids=["l2", "l1", "l0"])
def test_no_gradient_no_step(threat: Perturbation) -> None:
    name = threat.names[0]
    zero = {name: torch.zeros(2, 3, 4, 4)}
    for fraction in (0.3, 1.25):
        assert torch.equal(threat.ascend(zero, zero, fraction)[name], zero[name])


@pytest.mark.parametrize("threat", [L2(0.5), L1(0.5)], ids=["l2", "l1"])
def test_the_gradient_is_zero_only_where_the_way_up_is_blocked(threat: Perturbation) -> None:
    images = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.95, 0.5]).view(1, 1, 2, 3)
    slope = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0]).view(1, 1, 2, 3)
    delta = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.1, 0.1]).view(1, 1, 2, 3).requires_grad_()
    images.requires_grad_()
    (slope * threat.apply(images, {threat.names[0]: delta})).sum().backward()
    assert delta.grad is not None
    assert images.grad is not None
    assert delta.grad.flatten().tolist() == [1.0, 0.0, 0.0, -1.0, 0.0, 1.0]
    assert torch.equal(images.grad, slope)


# --- samples


@pytest.mark.parametrize("threat", [L2(0.5), L1(0.5)], ids=["l2", "l1"])
def test_samples_are_uniform_in_the_ball(threat: Perturbation) -> None:
    """The volume within radius r is (r / eps)^d of the whole, so that power is uniform; so is each direction's sign."""
    delta = threat.sample(4000, torch.Generator().manual_seed(0), image_shape=(3, 2, 2))[threat.names[0]]
    share = (length(threat, delta) / 0.5) ** 12
    assert kstest(share.numpy(), "uniform").pvalue > 0.01
    assert ((delta > 0).double().mean(0) - 0.5).abs().max() < 0.04
    squares = delta.double().flatten(1).square().mean(0)
    assert squares.max() / squares.min() < 1.3  # no value is preferred
    if isinstance(threat, L2):
        # rotation invariance: along any direction the marginal is that along an axis
        diagonal = delta.double().flatten(1).sum(1) / 12**0.5
        assert kstest(diagonal.numpy(), delta.double().flatten(1)[:, 5].numpy()).pvalue > 0.01
    else:
        # |x_i| / eps is a Dirichlet marginal: Beta(1, 12)
        assert kstest(delta.double().flatten(1)[:, 5].abs().numpy() / 0.5, "beta", args=(1, 12)).pvalue > 0.01


def test_l1_moves_as_many_values_as_eps_can_pay_for(digits: Digits) -> None:
    for eps, count in ((0.1, 1), (2.0, 3), (9.0, 12)):
        zero = torch.zeros(1, 3, 2, 2)
        moved = L1(eps).ascend({"delta_l1": zero}, {"delta_l1": torch.rand(1, 3, 2, 2)}, 1.0)["delta_l1"]
        assert (moved != 0).sum() == count
        assert moved.sum().item() == pytest.approx(eps)
    for eps in (8, 25):
        default = PGD(L1(eps), steps=5).attack(digits.loss, digits.images).loss.mean()
        others = [PGD(L1(eps, d), steps=5).attack(digits.loss, digits.images).loss.mean() for d in (0.01, 0.05, 0.2)]
        assert default > 0.95 * max(others)


def test_l0_draws_every_place_alike() -> None:
    delta = L0(3).sample(3000, torch.Generator().manual_seed(0), image_shape=(3, 4, 5))["delta_l0"]
    taken = (delta != 0).any(1)
    assert (taken.flatten(1).sum(1) == 3).all()
    assert (taken.double().mean(0) - 3 / 20).abs().max() < 0.03


# --- strength


def linear(seed: int = 0, n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, 8, 8, generator=generator)
    images[: n // 2] = images[: n // 2].round()  # black and white: half of the ball is outside [0, 1]
    return torch.randn(n, 3, 8, 8, generator=generator), images


@pytest.mark.parametrize("random_start", [True, False])
def test_pgd_on_l2_reaches_the_optimum_of_a_linear_loss(random_start: bool) -> None:
    """Along the weights, without those that lead out of [0, 1]; eps is small, so no pixel gets to a border."""
    weights, images = linear()
    images = images.where(images.round() == images, 0.2 + 0.6 * images)
    blocked = ((images == 1) & (weights > 0)) | ((images == 0) & (weights < 0))
    way = weights.masked_fill(blocked, 0.0)
    best = 0.1 * way.flatten(1).norm(dim=1)
    attack = PGD(L2(0.1), steps=30, random_start=random_start)
    result = attack.attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images)
    torch.testing.assert_close(result.loss, best, rtol=1e-2, atol=0)


def test_pgd_on_l1_reaches_the_optimum_of_a_linear_loss() -> None:
    """The largest weights first, each value all the way to black or white, until eps is used up."""
    weights, images = linear()
    room = torch.where(weights > 0, 1 - images, images).flatten(1)
    order = weights.flatten(1).abs().argsort(1, descending=True)
    room, size = room.gather(1, order), weights.flatten(1).abs().gather(1, order)
    before = room.cumsum(1) - room
    best = (size * (3.0 - before).clamp_min(0).minimum(room)).sum(1)
    attack = PGD(L1(3.0), steps=100, step_size=0.2)
    result = attack.attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images)
    assert (result.loss > 0.95 * best).all()
    assert (result.loss <= best * (1 + 1e-5)).all()


@pytest.mark.parametrize(("steps", "random_start"), [(1, False), (3, True), (40, True)])
def test_pgd_on_l0_reaches_the_optimum_of_a_linear_loss(steps: int, random_start: bool) -> None:
    """The places that gain most if all their channels go to black or white."""
    weights, images = linear()
    images[:3] = 0.5  # where the rooms are equal the gradient alone ranks the places
    images[3:] = images[3:].round()
    gain = torch.where(weights > 0, weights * (1 - images), -weights * images).sum(1).flatten(1)
    best = gain.topk(5).values.sum(1)
    attack = PGD(L0(5), steps=steps, random_start=random_start)
    result = attack.attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images)
    torch.testing.assert_close(result.loss, best, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "threat",
    [L2(1.0), L1(15.0), L0(6), Patch(5, 5, top=0.5, left=0.5), Compose([L0(3), Patch(4, 4), L2(0.5)])],
    ids=["l2", "l1", "l0", "patch", "composed"],
)
def test_pgd_beats_random_search_of_three_times_its_passes(digits: Digits, threat: Perturbation) -> None:
    pgd = PGD(threat, steps=5).attack(digits.loss, digits.images)
    random = RandomSearch(threat, samples=3 * pgd.steps).attack(digits.loss, digits.images)
    assert pgd.loss.mean() > 1.1 * random.loss.mean()
    assert digits.accuracy(pgd.images) < digits.accuracy(random.images)


# --- gradients that finite differences of `apply` do not give


def test_l0_gradient_along_its_places_and_across() -> None:
    images = 0.25 + 0.5 * torch.rand(4, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    threat = L0(4, 0.2)
    delta = threat.sample(4, torch.Generator().manual_seed(1), image_shape=(3, 6, 6))["delta_l0"].double()
    delta.requires_grad_()
    weights = torch.rand(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (weights * threat.apply(images, {"delta_l0": delta})).sum().backward()
    assert delta.grad is not None
    along = 1e-6 * (delta.detach() != 0) * torch.rand(images.shape, generator=torch.Generator().manual_seed(3))
    ends = [(weights * threat.apply(images, {"delta_l0": delta.detach() + sign * along})).sum() for sign in (1, -1)]
    torch.testing.assert_close((delta.grad * along).sum(), (ends[0] - ends[1]) / 2, rtol=1e-6, atol=0)
    assert torch.equal(delta.grad, weights)  # elsewhere that of the sum, which names the places to take in


def test_a_drawn_patch_has_a_place_that_no_gradient_moves() -> None:
    images = torch.full((3, 3, 8, 8), 0.5)
    threat = Patch(2, 2)
    params = threat.sample(3, torch.Generator().manual_seed(0), image_shape=(3, 8, 8))
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    threat.apply(images, leaves).square().sum().backward()
    assert leaves["patch_place"].grad is not None
    assert leaves["patch_place"].grad.eq(0).all()
    assert leaves["patch"].grad is not None
    # 2x where the pixel is free, nothing where it is black or white
    assert ((leaves["patch"].grad > 0) == (threat._ground(threat.apply(images, params), params) > 0)).all()


# --- patches


def test_patch_places_by_hand() -> None:
    images = torch.zeros(1, 1, 4, 6)
    white = {"patch": torch.ones(1, 1, 2, 3)}
    for (top, left), rows, columns in [
        ((0.0, 0.0), (0, 1), (0, 2)),
        ((1.0, 1.0), (2, 3), (3, 5)),
        ((0.5, 0.3), (1, 2), (1, 3)),  # 3 places down and 4 across: 0.5 * 3 and 0.3 * 4, rounded down
    ]:
        where = Patch(2, 3, top=top, left=left).apply(images, white)[0, 0].nonzero()
        assert where.amin(0).tolist() == [rows[0], columns[0]]
        assert where.amax(0).tolist() == [rows[1], columns[1]]
        drawn = Patch(2, 3).apply(images, white | {"patch_place": torch.tensor([[top, left]])})
        assert torch.equal(drawn[0, 0].nonzero(), where)


def test_every_step_takes_the_patch_to_another_place_and_all_are_visited() -> None:
    threat = Patch(2, 2)
    params = threat.neutral(1, image_shape=(1, 5, 5))
    params["patch"] += 1.0
    visits = torch.zeros(5, 5)
    for _ in range(160):
        following = threat.ascend(params, {name: torch.zeros_like(v) for name, v in params.items()}, 1.0)
        assert not torch.equal(following["patch_place"], params["patch_place"])
        assert torch.equal(following["patch"], params["patch"])
        params = threat.project(following)
        visits += threat.apply(torch.zeros(1, 1, 5, 5), params)[0, 0]
    assert visits[0, 0] == pytest.approx(10, abs=2)  # one of 16 places
    assert visits[2, 2] == pytest.approx(40, abs=4)  # four of 16


def test_a_patch_made_at_many_places_works_at_new_ones(digits: Digits) -> None:
    """The point of the expectation: content made at one place loses elsewhere to content made at many."""
    shape = tuple(digits.images.shape[1:])
    fixed = PGD(Patch(5, 5, top=0.5, left=0.5), steps=60, step_size=0.2, keep_best=False)
    anywhere = PGD(Patch(5, 5), steps=60, step_size=0.2, keep_best=False)
    content = [attack.attack(digits.loss, digits.images).params["patch"] for attack in (fixed, anywhere)]
    threat = Patch(5, 5)
    losses = []
    for patch in content:
        generator = torch.Generator().manual_seed(1)
        places = [threat.sample(len(patch), generator, image_shape=shape)["patch_place"] for _ in range(20)]
        judged = [digits.loss(threat.apply(digits.images, {"patch": patch, "patch_place": p})).mean() for p in places]
        losses.append(torch.stack(judged).mean())
    assert losses[1] > 1.1 * losses[0]
    assert losses[1] > 1.5 * digits.loss(digits.images).mean()


def test_a_fixed_patch_stays_where_pixels_can_follow() -> None:
    images = torch.tensor([0.0, 1.0, 0.3, 0.99]).view(1, 1, 2, 2)
    threat = Patch(2, 2, top=0, left=0, eps="8/255")
    found = threat.project({"patch": torch.full((1, 1, 2, 2), 0.5)}, images)["patch"]
    assert found.flatten().tolist() == pytest.approx([8 / 255, 0.0, 8 / 255, 0.01], abs=1e-6)


def test_norm_balls_compose_with_one_another() -> None:
    both = Compose([Linf("2/255"), L2(0.3), L1(2.0), L0(5, 0.1), Patch(3, 3)])
    assert both.names == ("delta", "delta_l2", "delta_l1", "delta_l0", "patch", "patch_place")
    images = pictures(0, size=8)
    generator = torch.Generator().manual_seed(0)
    params = both.project(both.sample(2, generator, image_shape=(3, 8, 8)), images)
    for part in both.perturbations:
        mine = {name: params[name] for name in part.names}
        assert all(torch.equal(value, mine[name]) for name, value in part.project(mine, images).items())
        images = part.apply(images, mine)
    assert torch.equal(both.apply(pictures(0, size=8), params), images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L2(-0.1), r"`eps` of at least 0 but got -0.1; it is a norm over the whole picture"),
        (lambda: L1(float("inf")), r"`eps` of at least 0 but got inf"),
        (lambda: L1(float("nan")), r"`eps` of at least 0 but got nan"),
        (lambda: L2("much"), r"`eps` as a number or a fraction such as 8/255 but got 'much'"),
        (lambda: L1(1, density=0), r"`density` in \(0, 1\] but got 0; it is a share"),
        (lambda: L0(0), r"`pixels` of at least 1 but got 0; leave the attack out"),
        (lambda: L0(3, 8), r"`eps` in \[0, 1\] but got 8; .*write 8/255"),
        (lambda: Patch(0, 3), r"at least 1 x 1 pixels but got 0 x 3"),
        (lambda: Patch(3, 3, eps=8), r"`eps` in \[0, 1\] but got 8; .*write 8/255"),
        (lambda: Patch(3, 3, top=0.5), r"both `top` and `left` or neither but got 0.5 and None; None draws the place"),
        (lambda: Patch(3, 3, top=4, left=0), r"place in \[0, 1\] but got top=4, left=0; 1 is the far border"),
    ],
)
def test_bad_ranges(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("threat", [L2(1), L1(1), L0(1), Patch(2, 2)], ids=["l2", "l1", "l0", "patch"])
def test_the_shape_of_the_pictures_is_needed(threat: Perturbation) -> None:
    with pytest.raises(ValueError, match=r"`image_shape` because .* pass images.shape\[1:\]"):
        threat.sample(2)


def test_a_patch_that_does_not_fit() -> None:
    threat = Patch(9, 2)
    with pytest.raises(ValueError, match="fits a picture of 8 x 8 pixels but got 9 x 2; make it smaller"):
        threat.sample(1, image_shape=(3, 8, 8))
    params = threat.sample(1, image_shape=(3, 9, 9))
    with pytest.raises(ValueError, match="make it smaller"):
        threat.apply(torch.zeros(1, 3, 8, 8), params)
