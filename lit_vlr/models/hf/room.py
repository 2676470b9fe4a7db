"""Whether a model will fit, before its weights are read."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from lit_vlr.errors import UserError
from lit_vlr.models.hf.towers import Towers
from lit_vlr.models.memory import device_memory, gibibytes
from lit_vlr.models.quantization import Quantization

OVERRIDE = "LIT_VLR_MEMORY_CHECK"
"""Environment variable; ``off`` loads whatever it takes."""
_WIDEST = 4  # bytes of float32 beside one byte, the least that files hold a weight in


def check_room(
    name_or_path: str, path: str, towers: Towers, quantization: Quantization, device: torch.device, stored: int | None
) -> None:
    """Check that the weights will fit into what is free.

    Args:
        name_or_path: what the user wrote.
        path: folder or hub name.
        towers: which modules are what.
        quantization: how the language model will be held.
        device: where.
        stored: bytes of the weights' files, if known: where even their widest reading fits, nothing is counted.

    Raises:
        UserError: if they will not; ``LIT_VLR_MEMORY_CHECK=off`` goes on all the same.
    """
    if os.environ.get(OVERRIDE, "").lower() in ("off", "0", "false"):
        return
    free = device_memory(device).free
    if stored is not None and _WIDEST * stored < free:
        return
    need = bytes_needed(AutoConfig.from_pretrained(path), towers, quantization, quantization.dtype(device))
    if need > free:
        smaller = "" if quantization.bits == 4 else ", set `quantization.bits` to 4"
        raise UserError(
            f"Expected {name_or_path!r} to fit on {device} but its weights need {gibibytes(need)} and "
            f"{gibibytes(free)} are free; free some{smaller}, choose a smaller model, or set {OVERRIDE}=off to try "
            "all the same"
        )


def bytes_needed(config: Any, towers: Towers, quantization: Quantization, dtype: torch.dtype) -> int:  # noqa: ANN401
    """Bytes of the weights once loaded, and of the largest one as it is read; counted on the meta device.

    4-bit blocks of 64 have a float32 scale each; with double quantisation the scales take a byte, and one float32 for
    256 of them (QLoRA, section 3). 8-bit rows have one float32 each.
    """
    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
    model.tie_weights()
    of_four = 0.5 + ((1 + 4 / 256) / 64 if quantization.double_quant else 4 / 64)
    quantised = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if quantization.bits != 16 and type(module) is nn.Linear and towers.of(name) == "language"
    }
    total, largest = 0.0, 0
    for name, parameter in model.named_parameters():
        largest = max(largest, parameter.nbytes)
        if name not in quantised:
            total += parameter.nbytes
        elif quantization.bits == 4:
            total += parameter.numel() * of_four
        else:
            total += parameter.numel() + 4 * parameter.shape[0]
    return int(total) + largest
