"""How much memory there is, and how much weights take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor, nn

_CGROUP = Path("/sys/fs/cgroup")


class DeviceMemory(NamedTuple):
    """Bytes of a device's memory: what could be allocated now, and all of it."""

    free: int
    total: int


def device_memory(device: torch.device) -> DeviceMemory:
    """Memory of a GPU, or of the machine within the limit of its container."""
    if device.type == "cuda":
        return DeviceMemory(*torch.cuda.mem_get_info(device))
    memory = psutil.virtual_memory()
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no control group, or no limit: it reads "max"
        return DeviceMemory(memory.available, memory.total)
    return DeviceMemory(min(memory.available, max(0, limit - used)), min(memory.total, limit))


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors; one that is there twice counts once."""
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())


def weight_bytes(model: nn.Module) -> int:
    """Bytes that a model's weights, buffers and quantisation constants take."""
    held: list[Any] = [*model.parameters(), *model.buffers()]
    for parameter in model.parameters():
        held += _constants(getattr(parameter, "quant_state", None))
        held += [scale for scale in (getattr(parameter, "SCB", None),) if scale is not None]
    return tensor_bytes(tensor for tensor in held if tensor.numel())


def _constants(state: Any) -> list[Tensor]:  # noqa: ANN401 - bitsandbytes' QuantState
    """Scales and code book of a 4-bit weight; with double quantisation those of the scales, too."""
    if state is None:
        return []
    nested = _constants(state.state2) if state.nested else []
    return [state.absmax, state.code, *nested]


def gibibytes(number: float) -> str:
    """As people read it."""
    return f"{number / 2**30:.2f} GiB" if number >= 2**27 else f"{number / 2**20:.1f} MiB"
