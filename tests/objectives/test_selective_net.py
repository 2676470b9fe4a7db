"""SelectiveNet against a plain loop, its limits, and over two processes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lit_vlr.confidence import Selector, SequenceProbability
from lit_vlr.errors import UserError
from lit_vlr.objectives import SFT, SelectiveNet
from tests.objectives._outputs import output


class Sizes:
    """What a selector asks a family for."""

    hidden_size = 6


def made(lengths=(1, 2, 1, 3)):
    found, batch = output(lengths)
    generator = torch.Generator().manual_seed(3)
    n = len(lengths)
    features = {name: torch.randn(n, 6, generator=generator) for name in ("image_features", "question_features")}
    return replace(found, **features), batch


def prepared(**options) -> tuple[SelectiveNet, Selector]:
    torch.manual_seed(0)
    selector, objective = Selector(8, dropout=0.0), SelectiveNet(**options)
    selector.prepare(Sizes())  # type: ignore[arg-type]
    objective.prepare(Sizes(), selector)  # type: ignore[arg-type]
    return objective, selector


def by_loop(losses, selected, coverage, penalty, share):
    n = len(losses)
    covered = sum(selected) / n
    risk = sum(loss * g for loss, g in zip(losses, selected, strict=True)) / n / covered
    return share * (risk + penalty * max(0.0, coverage - covered) ** 2) + (1 - share) * sum(losses) / n


@pytest.mark.parametrize("options", [{}, {"coverage": 0.1}, {"penalty": 0.0}, {"share": 1.0}])
def test_the_mean_is_the_papers_loss(options) -> None:
    objective, selector = prepared(**options)
    passed, batch = made()
    losses = SFT()(passed, batch).tolist()
    selected = selector.logits(passed, 4)[:, 0].sigmoid().tolist()
    expected = by_loop(losses, selected, objective.coverage, objective.penalty, objective.share)
    assert objective(passed, batch).mean().item() == pytest.approx(expected, rel=1e-5)


def test_its_limits_are_cross_entropy() -> None:
    passed, batch = made()
    passed.answer_logits.requires_grad_()
    expected = SFT()(passed, batch)
    none = prepared(share=0.0)[0](passed, batch)
    torch.testing.assert_close(none, expected)
    objective, selector = prepared(penalty=0.0)
    with torch.no_grad():  # every question selected alike
        selector.judge[-1].weight.zero_()
    alike = objective(passed, batch)
    torch.testing.assert_close(alike.mean(), expected.mean())
    grads = [
        torch.autograd.grad(losses.mean(), passed.answer_logits, retain_graph=True)[0]
        for losses in (expected, none, alike)
    ]
    assert grads[0].any()
    for grad in grads[1:]:
        torch.testing.assert_close(grad, grads[0], atol=1e-7, rtol=1e-5)


def test_gradients_match_finite_differences() -> None:
    objective, _ = prepared()
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(5, generator=generator, dtype=torch.float64, requires_grad=True)
    selected = torch.rand(5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(objective.selective_loss, (losses, selected))


def test_selecting_nothing_does_not_pay() -> None:
    """Code without the division by coverage makes the loss vanish with the selection."""
    objective, _ = prepared()
    losses = torch.tensor([1.0, 2.0])
    few = [float(objective.selective_loss(losses, torch.full((2,), g))) for g in (1.0, 0.5, 1e-3)]
    assert few[0] < few[1] < few[2]


def _check(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        objective, _ = prepared()
        generator = torch.Generator().manual_seed(0)
        columns = torch.rand(2, 5, generator=generator, dtype=torch.float64)
        share = (slice(0, 3), slice(3, 5))[rank]
        here = columns[:, share].clone().requires_grad_()
        value = objective.selective_loss(*here)
        (grad,) = torch.autograd.grad(value, here)
        everywhere = columns.clone().requires_grad_()
        weighted, covered = (everywhere[0] * everywhere[1]).sum(), everywhere[1].sum()
        whole = 0.5 * (weighted / covered + 32 * (0.8 - covered / 5).clamp(min=0) ** 2)
        (expected,) = torch.autograd.grad(whole, everywhere)
        torch.testing.assert_close(value, whole)
        torch.testing.assert_close(grad / 2, expected[:, share])  # averaged over two processes
    finally:
        dist.destroy_process_group()


def test_two_processes_have_the_gradient_of_one(tmp_path) -> None:
    mp.spawn(_check, args=(tmp_path / "store",), nprocs=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"coverage": 0.0}, "`coverage`"), ({"penalty": -1.0}, "`penalty`"), ({"share": 2.0}, "`share`")],
)
def test_mistakes_are_named(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        SelectiveNet(**options)


def test_it_trains_the_selector_only_where_it_has_a_share() -> None:
    assert SelectiveNet().trains(Selector(8))
    assert not SelectiveNet(share=0.0).trains(Selector(8))
    assert not SelectiveNet().trains(SequenceProbability())


def test_it_needs_a_selector() -> None:
    with pytest.raises(UserError, match="`Selector` with the objective SelectiveNet but got SequenceProbability"):
        SelectiveNet().prepare(Sizes(), SequenceProbability())  # type: ignore[arg-type]
    passed, batch = made()
    with pytest.raises(RuntimeError, match="call `prepare`"):
        SelectiveNet()(passed, batch)
