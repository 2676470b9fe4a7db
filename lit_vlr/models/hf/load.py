"""The load path of every transformers family: weights, quantisation, checkpointing, adapters."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from lit_vlr.models.hf.hub import check_complete, check_weight_files, pickles_allowed, reading
from lit_vlr.models.hf.room import check_room
from lit_vlr.models.hf.towers import Towers
from lit_vlr.models.lora import Lora, add_adapters
from lit_vlr.models.quantization import Quantization, assert_quantized, guard_cpu_kernels
from lit_vlr.models.tiny import resolve


def load_model(
    name_or_path: str,
    towers: Towers,
    quantization: Quantization,
    skip: tuple[str, ...],
    lora: Lora | None,
    targets: tuple[str, ...],
    gradient_checkpointing: bool,
    device: torch.device,
) -> Any:  # noqa: ANN401 - a PeftModel or one of many transformers classes
    """Load, quantise, add adapters; checks that quantisation hit the language model and nothing else.

    Args:
        name_or_path: embedded name, folder or hub name.
        towers: which modules are what.
        quantization: how the language model is held.
        skip: regular expressions of the modules that are never quantised.
        lora: adapters; None adds none.
        targets: regular expressions of the layers that get adapters.
        gradient_checkpointing: recompute activations in the backward pass.
        device: where the model will run.

    Returns:
        A `PeftModel` with adapters, the transformers model without.

    Raises:
        UserError: if the weights cannot be had, or will not fit.
    """
    dtype = quantization.dtype(device)
    path = resolve(name_or_path)
    check_room(name_or_path, path, towers, quantization, device, stored=check_weight_files(name_or_path, path))
    with reading(name_or_path):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            path,
            quantization_config=quantization.config(skip, dtype),
            dtype=dtype,
            device_map={"": device} if device.type == "cuda" else None,
            use_safetensors=None if pickles_allowed() else True,
            output_loading_info=True,
        )
    model, found = loaded
    check_complete(name_or_path, found["missing_keys"])
    if quantization.bits != 16:
        guard_cpu_kernels(model)
        parts = towers.modules(model)
        elsewhere = list(chain(parts["vision"], parts["projector"], parts["head"]))
        for language in parts["language"]:
            assert_quantized(language, elsewhere, quantization.bits)
    model.requires_grad_(False)
    adapted = model if lora is None else add_adapters(model, lora, targets, towers.projector)
    if gradient_checkpointing:
        # After the adapters, or peft asks for input gradients a second time, which nothing takes back. They make the
        # output of every embedding require gradients, so that a frozen vision tower gets a graph. Non-reentrant
        # checkpointing, the one kind that `autograd.grad` of an attack allows, does not need them.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.disable_input_require_grads()
    return adapted


def base_of(model: Any) -> Any:  # noqa: ANN401
    """The transformers model, adapters injected."""
    if model is None:
        raise RuntimeError("Expected a loaded model; call `load` first")
    return model.get_base_model() if isinstance(model, PeftModel) else model
