"""Estimates of memory against plain counting."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lit_vlr.audit.memory import MemoryEstimate, Saved, check_memory, estimate, saved_by_autograd
from lit_vlr.errors import AuditError
from lit_vlr.models.memory import DeviceMemory, gibibytes, weight_bytes
from tests._fits import module
from tests._tiny import batch


def test_what_autograd_keeps_is_counted_once() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(8, 16), nn.Linear(16, 32)
    x = torch.randn(4, 8)
    with saved_by_autograd(nn.ModuleList([first, second]), vocabulary=32) as saved:
        hidden = first(x).relu()
        second(hidden).log_softmax(-1).sum()
    # Kept: the input of the first layer, that of the second (the output of relu is the same tensor), the log-softmax.
    assert sum(saved.held.values()) == 4 * (4 * 8 + 4 * 16)
    assert sum(saved.logits.values()) == 4 * (4 * 32)


def test_one_row_times_rows_is_what_a_batch_keeps() -> None:
    made = module().train()
    made.configure_model()

    def kept(rows: int) -> int:
        with saved_by_autograd(made.family.base, made.family.config.text_config.vocab_size) as saved:
            given = batch(made.family, rows)
            made.attack_loss(given.images.clone().requires_grad_(), given)
        return estimate(made.family.base, "adamw", saved, 1).activations

    assert 8 * kept(1) == pytest.approx(kept(8), rel=0.15)  # questions are of different length


def test_recomputing_keeps_less() -> None:
    def kept(checkpointing: bool) -> int:
        made = module(gradient_checkpointing=checkpointing).train()
        made.configure_model()
        with saved_by_autograd(made.family.base, 10**9) as saved:
            given = batch(made.family, 2)
            made.attack_loss(given.images.clone().requires_grad_(), given)
        return sum(saved.held.values())

    assert kept(True) < 0.5 * kept(False)


def test_weights_are_counted_with_their_scales() -> None:
    made = module(lora=None)
    made.configure_model()
    total = 0
    for tensor in [*made.family.base.parameters(), *made.family.base.buffers()]:
        total += tensor.nbytes
        state = getattr(tensor, "quant_state", None)
        if state is not None:
            blocks = tensor.numel() * 2 // 64
            assert state.absmax.nbytes == blocks  # double quantisation: one byte a block
            total += blocks + 4 * state.code.numel() + 4 * state.state2.absmax.numel() + 4 * state.state2.code.numel()
    assert weight_bytes(made.family.base) == pytest.approx(total, rel=1e-3)


def test_gradients_and_optimiser_are_those_of_what_trains() -> None:
    weight = nn.Linear(64, 64, bias=False)
    need = estimate(weight, "adamw8bit", Saved(1, {0: 100}, {1: 10}), rows=3)
    assert need.gradients == 4 * 64 * 64
    assert need.optimizer == 2 * 64 * 64 * (1 + 4 / 256)
    assert (need.activations, need.logits) == (300, 60)
    assert need.total == need.weights + need.gradients + need.optimizer + 360


def test_what_cannot_fit_is_refused_and_what_may_not_is_warned_of() -> None:
    need = MemoryEstimate(weights=600, gradients=200, optimizer=100, activations=80, logits=20)
    check_memory(need, DeviceMemory(0, 1000), "cuda:0")
    with pytest.warns(UserWarning, match="will need about 0.0 MiB and cuda:0 has .* smaller `batch_size`"):
        check_memory(need, DeviceMemory(0, 950), "cuda:0")
    with pytest.raises(AuditError, match=r"Expected weights, gradients and optimiser to fit into .* of cuda:0"):
        check_memory(need, DeviceMemory(0, 899), "cuda:0")


def test_bytes_read_well() -> None:
    assert [gibibytes(x) for x in (2**20, 2**30, 5 * 2**28)] == ["1.0 MiB", "1.00 GiB", "1.25 GiB"]
