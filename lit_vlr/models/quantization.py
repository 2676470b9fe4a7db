"""4-bit and 8-bit loading through bitsandbytes, on a GPU or the CPU, with the traps closed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import bitsandbytes as bnb
import torch
from torch import nn
from transformers import BitsAndBytesConfig

from lit_vlr.errors import UserError

Bits: TypeAlias = Literal[4, 8, 16]
_BLOCK = 64  # bitsandbytes' CPU kernels require input dimensions that are multiples of this
_KINDS: dict[int, type[nn.Module]] = {4: bnb.nn.Linear4bit, 8: bnb.nn.Linear8bitLt}


@dataclass(frozen=True)
class Quantization:
    """How the frozen language model is held.

    Attributes:
        bits: 4 for NF4 or FP4, 8 for LLM.int8, 16 for no quantisation (weights in the compute dtype).
        quant_type: 4-bit data type.
        double_quant: quantise the 4-bit quantisation constants too (QLoRA, section 3).
        compute_dtype: dtype of matrix products; ``auto`` is bfloat16 on a GPU and float32 on the CPU.
        outlier_threshold: columns of an 8-bit layer's input in which some number exceeds this stay unquantised. Which
            ones do depends on every row of a batch, so that answers depend a little on their neighbours: 0 quantises
            all columns, and they do not.

    Raises:
        UserError: for another number of bits, or a negative threshold.

    Reference:
        Dettmers et al., QLoRA, arXiv 2305.14314, sections 2 and 3; LLM.int8(), arXiv 2208.07339, section 3.
    """

    bits: Bits = 4
    quant_type: Literal["nf4", "fp4"] = "nf4"
    double_quant: bool = True
    compute_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    outlier_threshold: float = 6.0

    def __post_init__(self) -> None:
        if self.bits not in (4, 8, 16):
            raise UserError(f"Expected `bits` to be 4, 8 or 16 (no quantisation) but got {self.bits!r}")
        if self.outlier_threshold < 0:
            raise UserError(f"Expected `outlier_threshold` of at least 0 but got {self.outlier_threshold}")

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
        if self.bits == 8:
            return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
                load_in_8bit=True,
                llm_int8_threshold=self.outlier_threshold,
                llm_int8_skip_modules=list(skip),
            )
        return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type=self.quant_type,
            bnb_4bit_use_double_quant=self.double_quant,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=list(skip),
        )

    def describe(self) -> str:
        """In a word, for manifests."""
        return {4: self.quant_type, 8: "int8", 16: "unquantised"}[self.bits]


def guard_cpu_kernels(model: nn.Module) -> int:
    """Keep bitsandbytes from repacking 4-bit weights on CPUs with AVX512-BF16; returns how many 4-bit layers there are.

    8-bit layers are kept from losing their scales under DoRA.

    The repack happens in the first forward pass without gradients (a validation step). From then on training passes
    have no gradient to their input, so nothing before the language model learns and every attack finds zero, with only
    a UserWarning. Must run after each load.
    """
    layers = four_bit_layers(model)
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    for layer in quantized_layers(model):
        if isinstance(layer, bnb.nn.Linear8bitLt):
            layer.register_forward_pre_hook(_keep_scales)
            # It says in each pass that it casts its input to float16.
            logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    return len(layers)


def _keep_scales(layer: nn.Module, _inputs: object) -> None:
    """Peft's DoRA, on the CPU, makes an 8-bit weight anew after each pass and loses its scales, which the layer has.

    The weight then says that the scales are still to be taken from it, and the second step fails.
    """
    weight: Any = layer.weight
    if weight.CB is not None and weight.SCB is None:
        weight.CB = None


def quantized_layers(model: nn.Module) -> list[nn.Module]:
    """Every 4-bit and 8-bit layer of a model."""
    return [module for module in model.modules() if isinstance(module, (bnb.nn.Linear4bit, bnb.nn.Linear8bitLt))]


def four_bit_layers(model: nn.Module) -> list[bnb.nn.Linear4bit]:
    """Every 4-bit layer of a model."""
    return [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]


def assert_quantized(language: nn.Module, elsewhere: Sequence[nn.Module], bits: Bits = 4) -> None:
    """Check that every linear layer of the language model is quantised and none elsewhere is.

    Raises:
        RuntimeError: otherwise; a wrong skip list is silent in transformers.
        UserError: if the model's shapes do not fit 4-bit blocks.
    """
    left = [name for name, m in language.named_modules() if type(m) is nn.Linear]
    if left:
        raise RuntimeError(f"Expected every linear layer of the language model in {bits} bit but {left[:3]} is not")
    other = [type(m).__name__ for m in quantized_layers(language) if not isinstance(m, _KINDS[bits])]
    if other:
        raise RuntimeError(f"Expected {bits}-bit layers in the language model but found {other[0]}")
    wrong = [type(part).__name__ for part in elsewhere if quantized_layers(part)]
    if wrong:
        raise RuntimeError(f"Expected {bits}-bit layers in the language model only but found some in {wrong}")
    odd = [tuple(m.weight.shape) for m in four_bit_layers(language) if m.in_features % _BLOCK]
    if odd:
        raise UserError(
            f"Expected input dimensions that are multiples of {_BLOCK} for 4 bit but got {odd[:3]}; set "
            "`quantization.bits` to 8 or 16"
        )
