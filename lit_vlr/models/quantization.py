"""4-bit loading through bitsandbytes, on a GPU or the CPU, with the traps closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import bitsandbytes as bnb
import torch
from torch import nn
from transformers import BitsAndBytesConfig

_BLOCK = 64  # bitsandbytes' CPU kernels require input dimensions that are multiples of this


@dataclass(frozen=True)
class Quantization:
    """How the frozen language model is held.

    Attributes:
        bits: 4 for NF4, or 16 for no quantisation (weights in the compute dtype).
        quant_type: 4-bit data type.
        double_quant: quantise the quantisation constants too (QLoRA, section 3).
        compute_dtype: dtype of matrix products; ``auto`` is bfloat16 on a GPU and float32 on the CPU.

    Reference:
        Dettmers et al., QLoRA, arXiv 2305.14314, sections 2 and 3.
    """

    bits: Literal[4, 16] = 4
    quant_type: Literal["nf4", "fp4"] = "nf4"
    double_quant: bool = True
    compute_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    def dtype(self, device: torch.device) -> torch.dtype:
        """The compute dtype on a device."""
        if self.compute_dtype == "auto":
            return torch.bfloat16 if device.type == "cuda" else torch.float32
        dtype: torch.dtype = getattr(torch, self.compute_dtype)
        return dtype

    def config(self, skip: Sequence[str], dtype: torch.dtype) -> BitsAndBytesConfig | None:
        """What ``from_pretrained`` takes; ``skip`` are *regular expressions* of modules that stay as they are.

        Plain names are anchored by transformers and match nothing inside ``model.``: the vision tower and the head
        would be quantised without a word. `assert_quantized` checks what came out.
        """
        if self.bits == 16:
            return None
        return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type=self.quant_type,
            bnb_4bit_use_double_quant=self.double_quant,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=list(skip),
        )


def guard_cpu_kernels(model: nn.Module) -> int:
    """Keep bitsandbytes from repacking 4-bit weights on CPUs with AVX512-BF16; returns how many layers there are.

    The repack happens in the first forward pass without gradients (a validation step). From then on training passes
    have no gradient to their input, so nothing before the language model learns and every attack finds zero, with only
    a UserWarning. Must run after each load.
    """
    layers = quantized_layers(model)
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


def quantized_layers(model: nn.Module) -> list[bnb.nn.Linear4bit]:
    """Every 4-bit layer of a model."""
    return [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]


def assert_quantized(language: nn.Module, elsewhere: Sequence[nn.Module]) -> None:
    """Check that every linear layer of the language model is 4-bit and none elsewhere is.

    Raises:
        RuntimeError: otherwise; a wrong skip list is silent in transformers.
    """
    left = [name for name, m in language.named_modules() if type(m) is nn.Linear]
    if left:
        raise RuntimeError(f"Expected every linear layer of the language model in 4 bit but {left[:3]} is not")
    wrong = [type(part).__name__ for part in elsewhere if quantized_layers(part)]
    if wrong:
        raise RuntimeError(f"Expected 4-bit layers in the language model only but found some in {wrong}")
    odd = [tuple(m.weight.shape) for m in quantized_layers(language) if m.in_features % _BLOCK]
    if odd:
        raise RuntimeError(f"Expected input dimensions that are multiples of {_BLOCK} for 4 bit but got {odd[:3]}")
