"""Adapted quantised models as plain ones: dequantise, then merge.

Adapters are trained around the rounding of the weights that they sit on. Merged into 4-bit weights they are rounded
once more, merged into the weights from before quantisation they meet others: both is another model, which
``tests/verbs/test_export.py`` measures beside this one.
"""

from __future__ import annotations

from typing import Any

import bitsandbytes as bnb
import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from lit_vlr.models.quantization import quantized_layers

_ADAPTER = "default"


@torch.no_grad()
def merge_exactly(model: PeftModel | PreTrainedModel, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Turn an adapted, quantised model into a plain one of the same function. The model given is used up.

    A layer at a time is held in float32, so that a bfloat16 result needs no more memory than its own.

    Args:
        model: with or without adapters, in 4 bit, 8 bit or neither.
        dtype: of the result; the sums are float32 in any case.

    Returns:
        The transformers model, with neither peft nor bitsandbytes in it. Beside an 8-bit model it differs by the
        rounding of activations, which only that one does.
    """
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    held = set(quantized_layers(base))
    for name, layer in list(base.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            inner = layer.get_base_layer()
            if inner in held:
                base.set_submodule(name, _plain(inner, dtype, layer))
            else:
                inner.float()
                layer.merge(safe_merge=True)
                base.set_submodule(name, inner.to(dtype))
        elif isinstance(layer, ModulesToSaveWrapper):
            trained = layer.modules_to_save[_ADAPTER]
            for hooks in (trained._forward_pre_hooks, trained._forward_hooks):
                hooks.clear()  # the casts around float32 weights, see lit_vlr.models.lora
            base.set_submodule(name, trained)
    for name, layer in list(base.named_modules()):
        if layer in held:  # without an adapter
            base.set_submodule(name, _plain(layer, dtype))
    if getattr(base, "hf_quantizer", None) is not None:
        base.hf_quantizer.remove_quantization_config(base)
    for flag in ("peft_config", "is_loaded_in_4bit", "is_loaded_in_8bit"):
        if hasattr(base, flag):
            delattr(base, flag)
    merged: PreTrainedModel = base.to(dtype).eval().requires_grad_(False)
    return merged


def dequantized(layer: nn.Module) -> Tensor:
    """A quantised layer's weight as it enters the matrix product, (out, in), float32."""
    weight: Any = layer.weight
    if isinstance(layer, bnb.nn.Linear4bit):
        return bnb.functional.dequantize_4bit(weight.data, weight.quant_state).float()  # type: ignore[no-any-return]
    state: Any = layer.state
    scale = weight.SCB if state.SCB is None else state.SCB  # the first forward pass moves it
    return bnb.functional.int8_vectorwise_dequant(weight.data, scale).float()  # type: ignore[no-any-return]


def _plain(layer: nn.Module, dtype: torch.dtype, adapter: Any = None) -> nn.Linear:  # noqa: ANN401
    """A linear layer of the same function: W + ΔW; under DoRA its rows have the trained norms m.

    Reference:
        LoRA, arXiv 2106.09685, section 4.1; DoRA, arXiv 2402.09353, equation 5.
    """
    weight = dequantized(layer)
    if adapter is not None:
        weight = weight + adapter.get_delta_weight(_ADAPTER).float()
        if _ADAPTER in adapter.lora_magnitude_vector:
            magnitude = adapter.lora_magnitude_vector[_ADAPTER].weight.float()
            weight = weight * (magnitude / weight.norm(dim=1))[:, None]
    bias: Any = layer.bias
    with torch.device("meta"):
        plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    plain.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    if bias is not None:
        plain.bias = nn.Parameter(bias.data.to(dtype), requires_grad=False)
    return plain
