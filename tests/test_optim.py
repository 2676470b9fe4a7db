"""Optimisers by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from lit_vlr.errors import UserError
from lit_vlr.models import Lora
from lit_vlr.optim import Optimisation, build_optimizer, state_bytes
from tests._fits import fit, module
from tests._tiny import batch


def walk(name: str, steps: int = 30) -> tuple[torch.Tensor, torch.optim.Optimizer]:
    """Where a parameter of 4096 and more numbers goes on a bowl."""
    torch.manual_seed(0)
    target, weight = torch.randn(64, 128), nn.Parameter(torch.zeros(64, 128))
    settings = Optimisation(optimizer=name, lr=0.05, warmup=0.0, final=1.0)
    made = build_optimizer({"w": weight}, settings, steps, lambda name: None)["optimizer"]
    for _ in range(steps):
        made.zero_grad()
        ((weight - target) ** 2).sum().backward()
        made.step()
    return weight.detach(), made


def test_eight_bit_goes_where_full_precision_goes() -> None:
    (expected, _), (found, eight) = walk("adamw"), walk("adamw8bit")
    assert (found - expected).abs().mean() < 0.05 * expected.abs().mean()  # codes of 8 bit are 2 to 3% apart
    (state,) = eight.state.values()
    assert state["state1"].dtype == state["state2"].dtype == torch.uint8


@pytest.mark.parametrize("name", ["paged_adamw", "paged_adamw8bit"])
def test_paging_needs_a_gpu(name: str) -> None:
    plain = name.removeprefix("paged_")
    message = rf"Expected parameters on a CUDA device for optimizer `{name}` but they are on \['cpu'\]; use `{plain}`"
    with pytest.raises(UserError, match=message):
        walk(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["paged_adamw", "paged_adamw8bit"])
def test_paged_ones_step_on_a_gpu(name: str) -> None:
    weight = nn.Parameter(torch.ones(64, 128, device="cuda"))
    made = build_optimizer({"w": weight}, Optimisation(optimizer=name, lr=0.1), 2, lambda name: None)["optimizer"]
    (weight**2).sum().backward()
    made.step()
    assert bool((weight < 1).all())


def test_exception_name() -> None:
    with pytest.raises(UserError, match=r"Expected `optimizer` to be one of .*'adamw8bit'.* but got 'lion'"):
        Optimisation(optimizer="lion")


@pytest.mark.parametrize("name", ["adamw", "adamw8bit"])
def test_bytes_of_the_state_are_those_held(name: str) -> None:
    _, made = walk(name, steps=1)
    held = sum(
        tensor.nbytes
        for state in made.state.values()
        for key, tensor in state.items()
        if isinstance(tensor, torch.Tensor) and key not in ("step", "qmap1", "qmap2")  # code books are shared
    )
    assert state_bytes([torch.empty(64, 128)], name) == held
    assert state_bytes([torch.empty(8)], name) == 2 * 8 * 4  # small ones stay in float32


def test_a_resumed_eight_bit_run_ends_bit_for_bit_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    def run(epochs: int, resume: Path | None = None) -> Trainer:
        settings = Optimisation(optimizer="adamw8bit", lr=1e-3, warmup=0.0, final=1.0)
        # No dropout: a plain DataLoader draws from the global random stream, unlike the package's.
        made = module(Lora(r=4, dropout=0.0), optimisation=settings)
        made.configure_model()
        return fit(made, tmp_path, batches=[batch(made.family, 2)], epochs=epochs, resume=resume)

    def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
        return {n: p.detach() for n, p in trainer.lightning_module.named_parameters() if p.requires_grad}

    run(2).save_checkpoint(tmp_path / "two.ckpt")
    resumed, whole = weights(run(3, tmp_path / "two.ckpt")), weights(run(3))
    assert len(whole) > 0
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
