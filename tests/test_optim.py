"""Optimisers by name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.data import IterableDataset

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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.0}, r"`lr` above 0 and finite but got 0\.0; it is the peak rate, such as 2e-4"),
        ({"lr": -1.0}, r"`lr` above 0 .* got -1\.0"),
        ({"lr": math.nan}, r"`lr` above 0 .* got nan"),
        ({"lr": math.inf}, r"`lr` above 0 and finite but got inf"),
        ({"projector_lr": -1e-4}, r"`projector_lr` of at least 0 and finite but got -0\.0001; null takes `lr`"),
        ({"vision_lr": math.nan}, r"`vision_lr` of at least 0 .* got nan"),
        ({"confidence_lr": math.inf}, r"`confidence_lr` of at least 0 .* got inf"),
        ({"weight_decay": -0.1}, r"`weight_decay` of at least 0 and finite but got -0\.1; 0 is none"),
        (
            {"warmup": 100},
            r"`warmup` in \[0, 1\] but got 100; it is a share of the steps, not their number: 100 of 1000 are 0",
        ),
        ({"warmup": -1.0}, r"`warmup` in \[0, 1\] but got -1\.0"),
        ({"warmup": math.nan}, r"`warmup` in \[0, 1\] but got nan"),
        ({"final": 5.0}, r"`final` in \[0, 1\] but got 5\.0; it is a share of the peak rate, such as"),
        (
            {"betas": (0.9, 1.0)},
            r"`betas` to be two numbers in \[0, 1\) but got \(0\.9, 1\.0\); 0\.9 and 0\.999 are usual",
        ),
        ({"betas": (-0.1, 0.999)}, r"`betas` to be two numbers"),
        ({"betas": (0.9,)}, r"`betas` to be two numbers"),
        ({"layer_decay": -2.0}, r"`layer_decay` in \(0, 1\] but got -2\.0; 1 is one rate for all blocks"),
        ({"layer_decay": 0.0}, r"`layer_decay` in \(0, 1\]"),
        ({"layer_decay": 1.1}, r"`layer_decay` in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_named(given, message) -> None:
    with pytest.raises(UserError, match=message):
        Optimisation(**given)


def test_ends_of_the_ranges_are_inside() -> None:
    for share in (0.0, 1.0):
        Optimisation(warmup=share, final=share)
    Optimisation(projector_lr=0.0, vision_lr=0.0, confidence_lr=0.0, betas=(0.0, 0.0), layer_decay=1.0)


@pytest.mark.parametrize("length", [3, None], ids=["counted", "not counted"])
def test_a_fit_without_an_end_is_refused(tmp_path: Path, length: int | None) -> None:
    """Of batches that nobody can count, Lightning says that they are minus one."""

    class Rows(IterableDataset):
        def __iter__(self):
            return iter([batch(made.family, 2)] * 3)

    made = module()
    made.configure_model()
    rows = Rows() if length is None else [batch(made.family, 2)] * length
    epochs = 1 if length is None else -1
    message = (
        rf"whose steps can be counted, .* but got `max_epochs` {epochs} without `max_steps`; give `trainer\.max_steps`"
    )
    with pytest.raises(UserError, match=message):
        fit(made, tmp_path, batches=rows, epochs=epochs)


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
