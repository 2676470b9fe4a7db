"""APGD, Square, Transfer, Universal and the ensemble: planted cases, invariants, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lit_vlr_callbacks.attacks import (
    APGD,
    FGSM,
    PGD,
    Attack,
    EachTarget,
    Ensemble,
    LogitsLoss,
    RandomSearch,
    Square,
    Stage,
    Transfer,
    Universal,
    dlr,
    margin,
    ranked_targets,
    targeted_margin,
    wrong_first,
)
from lit_vlr_callbacks.attacks.apgd import _checkpoints
from lit_vlr_callbacks.perturbations import L2, Brightness, Compose, Contrast, Linf, Perturbation, Rotate
from tests.callbacks.attacks._digits import Digits
from tests.oracles import attack_losses as oracle

EPS = 16 / 255
WRONG = math.log(10)
SEMANTIC = Compose([Rotate(-20, 20), Brightness(-0.3, 0.3), Contrast(0.5, 1.5)])


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def attacked(digits: Digits, loss: Callable[..., Tensor] = margin) -> LogitsLoss:
    return LogitsLoss(digits.net, digits.labels, loss)


class Counting:
    """A loss that counts the rows it is asked for."""

    def __init__(self, loss: LogitsLoss, seen: list[int] | None = None) -> None:
        self.loss, self.seen = loss, [] if seen is None else seen

    def __call__(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        return self.loss(images)


class CountingRows(Counting):
    """The same, that can leave rows out."""

    def rows(self, index: Tensor) -> CountingRows:
        return CountingRows(self.loss.rows(index), self.seen)


def cascade(threat: Perturbation) -> Ensemble:
    search = {"steps": 8, "random_start": False, "early_stop": True}
    stages = [
        Stage(APGD(threat, success_loss=WRONG, **search), lambda loss: loss.using(wrong_first)),  # type: ignore[arg-type,attr-defined]
        Stage(APGD(threat, success_loss=0.0, **search), lambda loss: loss.using(dlr)),  # type: ignore[arg-type,attr-defined]
        PGD(threat, steps=5, random_start=False),
    ]
    return Ensemble(threat, stages, success_loss=0.0)


def every(threat: Perturbation) -> list[Attack]:
    found = [
        FGSM(threat),
        FGSM(threat, random_start=True),
        PGD(threat, restarts=2, momentum=0.5),
        APGD(threat, steps=6, restarts=2),
        APGD(threat, steps=6, success_loss=0.0, early_stop=True),
        RandomSearch(threat, 5),
        Transfer(PGD(threat), lambda loss: loss),
    ]
    if not isinstance(threat, Compose):
        found += [Square(threat, queries=20), Ensemble(threat, [PGD(threat), Square(threat, 10)], success_loss=0.0)]
    return found


# --- planted optima


@pytest.mark.parametrize("random_start", [True, False])
def test_apgd_reaches_the_corner_of_a_linear_loss(random_start: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    weights, images = torch.randn(6, 3, 8, 8, generator=generator), torch.rand(6, 3, 8, 8, generator=generator)
    images[:3] = images[:3].round()  # black and white: half of the ball is outside [0, 1]
    best = torch.where(weights > 0, (images + EPS).clamp(max=1), (images - EPS).clamp(min=0))
    attack = APGD(Linf(EPS), steps=10, random_start=random_start)
    result = attack.attack(lambda x: (weights * x).flatten(1).sum(1), images)
    torch.testing.assert_close(result.images, best, atol=1e-6, rtol=0)


def test_apgd_reaches_the_optimum_of_a_linear_loss_in_l2() -> None:
    """Grey pictures have room on all sides: the optimum is eps along the weights."""
    weights = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    images = torch.full_like(weights, 0.5)
    norm = weights.flatten(1).norm(dim=1)
    result = APGD(L2(1.0), steps=40).attack(lambda x: (weights * (x - images)).flatten(1).sum(1), images)
    torch.testing.assert_close(result.loss, norm, rtol=1e-3, atol=0)


def test_apgd_halves_its_step_until_it_finds_a_top_inside_of_the_ball() -> None:
    """Constant steps of 2 eps, from where it starts, would jump over it for ever."""
    images = torch.full((2, 1, 2, 2), 0.5)
    top = torch.tensor([0.51, 0.47]).view(2, 1, 1, 1)
    result = APGD(Linf(0.1), steps=100).attack(lambda x: -((x - top) ** 2).flatten(1).sum(1), images)
    torch.testing.assert_close(result.images, top.expand_as(images), atol=2e-3, rtol=0)


def test_square_wins_where_gradients_are_masked() -> None:
    """The model rounds its input: no gradient anywhere, and a wrong class for most pictures in the ball's corner."""
    weights = torch.randn(3 * 64, 2, generator=torch.Generator().manual_seed(0))
    images = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def logits(x: Tensor) -> Tensor:
        return (16 * x).round().flatten(1) @ weights / 16

    loss = LogitsLoss(logits, logits(images).argmax(1), margin)
    threat = Linf(24 / 255)
    fooled = {
        name: (attack.attack(loss, images).loss > 0).float().mean().item()
        for name, attack in {
            "pgd": PGD(threat, steps=20),
            "apgd": APGD(threat, steps=20),
            "square": Square(threat, queries=300, success_loss=0.0),
        }.items()
    }
    assert fooled["square"] > max(fooled["pgd"], fooled["apgd"]) + 0.4, fooled


@pytest.mark.parametrize("threat", [Linf(EPS), L2(1.0)], ids=["linf", "l2"])
def test_square_beats_random_search_of_equal_cost(digits: Digits, threat: Perturbation) -> None:
    square = Square(threat, queries=100).attack(attacked(digits), digits.images)
    random = RandomSearch(threat, samples=100).attack(attacked(digits), digits.images)
    assert square.loss.mean() > random.loss.mean() + 1.0


@pytest.mark.parametrize("threat", [Linf(EPS), L2(1.0), SEMANTIC], ids=["linf", "l2", "semantic"])
def test_apgd_is_no_weaker_than_pgd_of_equal_cost(digits: Digits, threat: Perturbation) -> None:
    apgd, pgd = (kind(threat, steps=30).attack(digits.loss, digits.images) for kind in (APGD, PGD))
    assert apgd.steps == pgd.steps
    assert apgd.loss.mean() > 0.99 * pgd.loss.mean()


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 10, 33, 50, 100, 250, 1000])
def test_checkpoints_are_the_papers(steps: int) -> None:
    assert _checkpoints(steps) == oracle.checkpoints(steps)


# --- invariants of all


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.5), st.sampled_from(["linf", "l2"]))
def test_every_attack_stays_in_its_ball_exactly(seed: int, eps: float, norm: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    images, weights = torch.rand(2, 3, 3, 8, 8, generator=generator)
    images[0] = images[0].round()
    for attack in every(Linf(eps) if norm == "linf" else L2(4 * eps)):
        found = attack.attack(lambda x: (weights * (x - 0.3).square()).flatten(1).sum(1), images, generator=generator)
        change = (found.images.double() - images.double()).flatten(1)
        size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1) / 4
        assert (size <= eps).all(), attack
        assert found.images.min() >= 0
        assert found.images.max() <= 1


@pytest.mark.parametrize("threat", [Linf(EPS), L2(1.0), SEMANTIC], ids=["linf", "l2", "semantic"])
def test_results_agree_with_recomputation_and_with_the_generator(digits: Digits, threat: Perturbation) -> None:
    loss, images = attacked(digits), digits.images[:32]
    loss = loss.rows(torch.arange(32))
    for attack in every(threat):
        attack.success_loss = 0.0
        state = torch.get_rng_state()
        one, again, other = (
            attack.attack(loss, images, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(torch.get_rng_state(), state), attack
        assert torch.equal(one.images, again.images), attack
        assert torch.equal(one.images, attack.perturbation.apply(images, one.params)), attack
        if not isinstance(attack, FGSM):  # its loss is that of the start: one gradient is all it costs
            recomputed = loss(one.images)
            torch.testing.assert_close(one.loss, recomputed, atol=1e-4, rtol=1e-4)
            assert one.success is not None
            sure = recomputed.abs() > 1e-3
            assert torch.equal(one.success[sure], (recomputed > 0)[sure]), attack
        if not (isinstance(attack, FGSM) and not attack.random_start):
            assert not torch.equal(one.images, other.images), attack
        assert one.steps == one.passes.max()
        assert one.total_passes == one.passes.sum()
        if one.trace is not None:
            assert (one.trace.diff(dim=0) >= 0).all(), attack
            torch.testing.assert_close(one.trace[-1], one.loss, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "attack",
    [
        PGD(Linf(0.1), random_start=False),
        APGD(Linf(0.1), random_start=False),
        APGD(L2(0.5), random_start=False),
        Ensemble(Linf(0.1), [PGD(Linf(0.1)), Square(Linf(0.1), 20)], success_loss=0.0),
    ],
)
def test_never_below_the_clean_loss(attack: Attack) -> None:
    """The clean picture is the top of this loss; a shifted one is not, so that zero gradients explain nothing."""
    images = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    top = images.clone()
    top[:2] += 1e-4
    result = attack.attack(lambda x: -(x - top).abs().flatten(1).sum(1), images)
    assert (result.loss >= -(images - top).abs().flatten(1).sum(1)).all()
    torch.testing.assert_close(result.images[2:], images[2:])


@pytest.mark.parametrize("threat", [Linf(EPS), SEMANTIC], ids=["linf", "semantic"])
def test_a_batch_is_its_samples_one_by_one(digits: Digits, threat: Perturbation) -> None:
    for attack in (
        PGD(threat, steps=4, random_start=False),
        APGD(threat, steps=6, random_start=False, success_loss=0.0, early_stop=True),
        cascade(threat),
    ):
        whole = attack.attack(attacked(digits).rows(torch.arange(8)), digits.images[:8])
        for row in range(8):
            one = attack.attack(attacked(digits).rows(torch.tensor([row])), digits.images[row : row + 1])
            torch.testing.assert_close(one.loss[0], whole.loss[row], atol=1e-3, rtol=1e-3)
            assert one.passes[0] == whole.passes[row]


# --- leaving the batch


@pytest.mark.parametrize("threat", [Linf(EPS), L2(1.0)], ids=["linf", "l2"])
def test_that_samples_leave_changes_nothing_for_the_others(digits: Digits, threat: Perturbation) -> None:
    stopping = APGD(threat, steps=10, restarts=2, success_loss=0.0, early_stop=True)
    going = APGD(threat, steps=10, restarts=2, success_loss=0.0)
    for stops, goes in ((stopping, going), (Square(threat, 60, success_loss=0.0), Square(threat, 60))):
        early, late = (attack.attack(attacked(digits), digits.images) for attack in (stops, goes))
        assert early.success is not None
        assert torch.equal(early.success, late.loss > 0)
        unbroken = ~early.success
        assert 0 < unbroken.sum() < len(unbroken)
        torch.testing.assert_close(early.loss[unbroken], late.loss[unbroken], atol=1e-3, rtol=1e-3)
        assert early.total_passes < late.total_passes
        assert (early.passes[unbroken] == late.passes[unbroken]).all()


@pytest.mark.parametrize(
    "attack",
    [
        APGD(Linf(EPS), steps=10, restarts=2, success_loss=0.0, early_stop=True),
        Square(Linf(EPS), 40, success_loss=0.0),
        Ensemble(Linf(EPS), [APGD(Linf(EPS), success_loss=0.0, early_stop=True), Square(Linf(EPS), 20)], 0.0),
    ],
)
def test_passes_are_the_rows_that_were_run_with_the_seam_and_without(digits: Digits, attack: Attack) -> None:
    narrowed, whole = CountingRows(attacked(digits)), Counting(attacked(digits))
    small, large = attack.attack(narrowed, digits.images), attack.attack(whole, digits.images)
    assert small.total_passes == sum(narrowed.seen)
    assert large.total_passes == sum(whole.seen)
    assert set(whole.seen) == {len(digits.images)}
    assert small.total_passes < 0.9 * large.total_passes
    torch.testing.assert_close(small.loss, large.loss, atol=1e-3, rtol=1e-3)


# --- the ensemble


@pytest.mark.parametrize("threat", [Linf(EPS), L2(1.0), SEMANTIC], ids=["linf", "l2", "semantic"])
def test_the_ensemble_is_the_union_of_its_members(digits: Digits, threat: Perturbation) -> None:
    ensemble, loss = cascade(threat), attacked(digits)
    result = ensemble.attack(loss, digits.images)
    broken = loss(digits.images) > 0
    clean = broken.clone()
    for stage in ensemble.stages:
        found = stage.attack.attack(stage.loss(loss, torch.full_like(digits.labels, -1)), digits.images)
        broken |= loss(found.images) > 0
    assert clean.sum() < broken.sum() < len(broken)
    assert torch.equal(result.success, broken)
    assert torch.equal(result.images[clean], digits.images[clean])
    assert (result.passes[clean] == 1).all()


def test_a_stage_may_start_from_the_worst(digits: Digits) -> None:
    threat = Linf(EPS)
    first = APGD(threat, steps=3, random_start=False)
    alone = Ensemble(threat, [first], success_loss=math.inf).attack(attacked(digits), digits.images)
    more = Ensemble(threat, [first, Stage(first, from_worst=True)], success_loss=math.inf)
    both = more.attack(attacked(digits), digits.images)
    assert (both.loss >= alone.loss).all()
    assert both.loss.mean() > alone.loss.mean()
    with pytest.raises(TypeError, match="but RandomSearch has none; use APGD"):
        Ensemble(threat, [Stage(RandomSearch(threat), from_worst=True)], 0.0).attack(attacked(digits), digits.images)


def test_the_judge_need_not_be_differentiable(digits: Digits) -> None:
    judge = lambda loss: lambda x: (loss(x) > 0).float()  # noqa: E731
    result = Ensemble(Linf(EPS), [APGD(Linf(EPS), steps=5)], success_loss=0.5, judge=judge).attack(
        attacked(digits), digits.images
    )
    assert torch.equal(result.success, attacked(digits)(result.images) > 0)


def test_an_ensemble_scales_with_its_stages(digits: Digits) -> None:
    none = cascade(Linf(EPS)).scaled(0.0).attack(attacked(digits), digits.images)
    assert torch.equal(none.images, digits.images)


# --- from another model, and for all pictures


def test_transfer_searches_there_and_judges_here(digits: Digits) -> None:
    other = Digits()
    other.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 256, 10)).requires_grad_(False)
    surrogate = LogitsLoss(other.net, digits.labels, margin)
    attack = Transfer(PGD(Linf(EPS), steps=5), lambda victim: surrogate, success_loss=0.0)
    result = attack.attack(attacked(digits), digits.images)
    found = PGD(Linf(EPS), steps=5).attack(surrogate, digits.images)
    assert torch.equal(result.images, found.images)
    torch.testing.assert_close(result.loss, attacked(digits)(found.images))
    assert result.steps == found.steps + 1
    own = PGD(Linf(EPS), steps=5).attack(attacked(digits), digits.images)
    assert own.loss.mean() > result.loss.mean()


def test_a_universal_perturbation_is_one_for_all_and_beats_a_random_one(digits: Digits) -> None:
    halves = [(attacked(digits).rows(rows), digits.images[rows]) for rows in torch.arange(128).split(32)]
    threat = Linf(32 / 255)
    universal = Universal(threat, epochs=10).fit(halves[:2])
    assert universal.fitted is not None
    assert universal.fitted["delta"].shape[0] == 1
    unseen, images = halves[3]
    found = universal.attack(unseen, images)
    assert found.steps == 1
    inside = (found.images > 0) & (found.images < 1)
    expected = (images + universal.fitted["delta"])[inside]
    torch.testing.assert_close(found.images[inside], expected, atol=1e-6, rtol=0)
    random = RandomSearch(threat, 1).attack(unseen, images)
    assert found.loss.mean() > random.loss.mean() + 1.0


def test_the_universal_optimum_of_a_linear_loss_is_the_sign_of_the_summed_weights() -> None:
    weights = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    images = torch.full_like(weights, 0.5)
    universal = Universal(Linf(0.1), epochs=10).fit([(lambda x: (weights * x).flatten(1).sum(1), images)])
    assert universal.fitted is not None
    torch.testing.assert_close(universal.fitted["delta"], 0.1 * weights.sum(0, keepdim=True).sign())


# --- things that go wrong


@pytest.mark.parametrize("attack", every(Linf(EPS)), ids=lambda attack: type(attack).__name__)
def test_bad_pictures_and_losses(attack: Attack) -> None:
    loss = lambda x: x.flatten(1).sum(1)  # noqa: E731
    images = torch.rand(2, 3, 4, 4)
    with pytest.raises(TypeError, match=r"float32 in \[0, 1\] but got torch.uint8; pass images.float\(\) / 255"):
        attack.attack(loss, (255 * images).to(torch.uint8))
    with pytest.raises(TypeError, match=r"got torch.bfloat16; pass them in float32"):
        attack.attack(loss, images.bfloat16())
    with pytest.raises(ValueError, match=r"in \[0, 1\] but got values from .*; pass unnormalised pixels"):
        attack.attack(loss, (images - 0.5) / 0.25)
    with pytest.raises(ValueError, match=r"of shape \(B, C, H, W\) but got \(3, 4, 4\)"):
        attack.attack(loss, images[0])
    with pytest.raises(ValueError, match=r"loss per sample of shape \(2,\) but got shape \(\).*reduction='none'"):
        attack.attack(lambda x: x.mean(), images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: APGD(Linf(-0.1)), r"Expected `eps` in \[0, 1\]"),
        (lambda: APGD(Linf(0.1), early_stop=True), "Expected `success_loss` with `early_stop`"),
        (lambda: APGD(Linf(0.1), steps=0), "`steps` and `restarts` of at least 1"),
        (lambda: Square(Linf(0.1), queries=0), "`queries` of at least 1"),
        (lambda: Square(Linf(0.1), p_init=0.0), r"`p_init` in \(0, 1\]"),
        (lambda: Square(Rotate()), "L-infinity or L2 ball of pixels but got Rotate.*; use RandomSearch"),
        (lambda: Ensemble(Linf(0.1), [], 0.0), "at least one stage"),
        (lambda: Ensemble(Linf(0.1), [PGD(Linf(0.2))], 0.0), "but stage 0 is over .*; give all of them one"),
        (lambda: Universal(Linf(0.1), epochs=0), "`epochs` of at least 1"),
        (lambda: Universal(Linf(0.1)).fit([]), "batches to go through in every epoch"),
        (lambda: Universal(Linf(0.1)).attack(lambda x: x, torch.rand(1, 3, 2, 2)), "call `fit` first"),
    ],
)
def test_bad_settings(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# --- a search for each target


@pytest.mark.parametrize("together", [None, 2])
@pytest.mark.parametrize("k", [1, 3, None])
def test_each_target_equals_one_search_a_target(digits: Digits, k: int | None, together: int | None) -> None:
    """From the picture itself, where no random start differs: side by side is as one after the other."""
    search = APGD(Linf(EPS), steps=4, random_start=False)
    loss = attacked(digits)
    found = EachTarget(search, k, together).attack(loss, digits.images)
    aims = ranked_targets(digits.net(digits.images), digits.labels)[:, :k]
    losses = torch.stack(
        [search.attack(loss.using(targeted_margin, aims[:, i]), digits.images).loss for i in range(aims.shape[1])]
    )
    torch.testing.assert_close(found.loss, losses.amax(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(loss(found.images), margin(digits.net(found.images), digits.labels))
    assert (loss(found.images) >= found.loss - 1e-4).all()  # another class than the target may lead by more
    assert (found.passes == 1 + aims.shape[1] * 5).all()
    assert found.trace is not None
    assert torch.equal(found.trace[-1], found.loss)
    assert (found.images - digits.images).abs().max() <= EPS


@pytest.mark.parametrize("together", [None, 3, 1])
def test_each_target_in_an_ensemble_counts_every_row_and_breaks_no_fewer(digits: Digits, together: int | None) -> None:
    seen: list[int] = []
    handle = digits.net.register_forward_hook(lambda module, given, output: seen.append(len(output)))
    aimed = APGD(Linf(EPS), steps=5, success_loss=0.0, early_stop=True)
    targets = EachTarget(aimed, together=together)
    ensemble = Ensemble(Linf(EPS), [FGSM(Linf(EPS), success_loss=0.0), targets], success_loss=0.0)
    loss = attacked(digits)
    found = ensemble.attack(loss, digits.images)
    handle.remove()
    assert found.total_passes == sum(seen)
    alone = Ensemble(Linf(EPS), [FGSM(Linf(EPS), success_loss=0.0)], success_loss=0.0).attack(loss, digits.images)
    assert found.success.sum() > alone.success.sum()
    assert (found.success == (loss(found.images) > 0)).all()


def test_what_some_targets_break_is_not_searched_for_the_others(digits: Digits) -> None:
    search = APGD(Linf(EPS), steps=5, success_loss=0.0, early_stop=True, random_start=False)
    loss = attacked(digits)
    whole, groups = (EachTarget(search, together=together).attack(loss, digits.images) for together in (None, 1))
    assert torch.equal(groups.success, whole.success)
    assert groups.total_passes < whole.total_passes
    assert (groups.passes <= whole.passes).all()
    assert groups.trace is not None
    assert torch.equal(groups.trace[-1], groups.loss)


def test_each_target_needs_a_classifier(digits: Digits) -> None:
    with pytest.raises(TypeError, match="a LogitsLoss, whose classes are the targets, but got function"):
        EachTarget(FGSM(Linf(EPS))).attack(lambda x: x.sum((1, 2, 3)), digits.images)
    with pytest.raises(ValueError, match="`targets` of at least 1 but got 0"):
        EachTarget(FGSM(Linf(EPS)), 0)
    with pytest.raises(ValueError, match="`together` of at least 1 but got 0"):
        EachTarget(FGSM(Linf(EPS)), together=0)
    one = EachTarget(PGD(Linf(EPS), steps=7)).one_step()
    assert isinstance(one, EachTarget)
    assert one.search.steps == 1
    assert EachTarget(FGSM(Linf(EPS))).scaled(0.5).search.perturbation.eps == EPS / 2
