"""What a fit will need, beside what the device has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from lit_vlr.errors import AuditError
from lit_vlr.models.memory import DeviceMemory, gibibytes, weight_bytes
from lit_vlr.optim import OptimizerName, state_bytes


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a training step needs.

    Attributes:
        weights: parameters, buffers and quantisation constants, as they are held.
        gradients: of what trains.
        optimizer: its state; on the host where it is paged.
        activations: what the forward pass keeps for the backward pass, logits left out.
        logits: what is kept of width of the vocabulary, and its gradient.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int

    @property
    def fixed(self) -> int:
        """What no smaller batch makes smaller."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        """All of it."""
        return self.fixed + self.activations + self.logits


@dataclass
class Saved:
    """Bytes that autograd keeps; tensors that share their memory count once, and parameters not at all."""

    vocabulary: int
    held: dict[int, int] = field(default_factory=dict)
    logits: dict[int, int] = field(default_factory=dict)


@contextmanager
def saved_by_autograd(model: nn.Module, vocabulary: int) -> Iterator[Saved]:
    """Watch what autograd keeps in a forward pass: measured, not estimated, and the same on every device.

    Under activation checkpointing that is what is kept *between* the layers; what one layer needs while it is
    recomputed comes on top.

    Args:
        model: its parameters are left out.
        vocabulary: the width that tells logits.
    """
    saved = Saved(vocabulary)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kind = saved.logits if tensor.dim() and tensor.shape[-1] == vocabulary else saved.held
            kind[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield saved


def estimate(model: nn.Module, optimizer: OptimizerName, saved: Saved, rows: int) -> MemoryEstimate:
    """Add up.

    Args:
        model: loaded.
        optimizer: its name.
        saved: of one row.
        rows: of a batch.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return MemoryEstimate(
        weights=weight_bytes(model),
        gradients=sum(parameter.nbytes for parameter in trained),
        optimizer=state_bytes(trained, optimizer),
        activations=rows * sum(saved.held.values()),
        logits=2 * rows * sum(saved.logits.values()),
    )


def check_memory(need: MemoryEstimate, device: DeviceMemory, name: Any) -> None:  # noqa: ANN401
    """Compare with the device.

    Raises:
        AuditError: if not even weights, gradients and optimiser fit. A batch that is too big is warned of: activations
            are an estimate.
    """
    if need.fixed > device.total:
        raise AuditError(
            f"Expected weights, gradients and optimiser to fit into the {gibibytes(device.total)} of {name} but they "
            f"need {gibibytes(need.fixed)}; set `quantization.bits` to 4, a smaller `lora.r` or "
            "`optimisation.optimizer` to `adamw8bit`"
        )
    if need.total > device.total:
        rank_zero_warn(
            f"A training step will need about {gibibytes(need.total)} and {name} has {gibibytes(device.total)}: set a "
            "smaller `batch_size` with `accumulate_grad_batches`, or `gradient_checkpointing`"
        )
