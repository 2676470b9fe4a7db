"""Which layers get adapters, and making what trains trainable: the useful parts of peft's k-bit preparation.

``prepare_model_for_kbit_training`` is not used: it turns everything that is not 4-bit into float32 and gives a frozen
vision tower an autograd graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from lit_vlr.errors import UserError


@dataclass(frozen=True)
class Lora:
    """Adapter settings, passed through to peft.

    Attributes:
        r: rank.
        alpha: scale; the update is multiplied by alpha / r (alpha / √r with ``rslora``).
        dropout: on the adapters' input.
        vision: also put adapters on the vision tower. Adversarial training needs it: with a frozen tower what the
            attack has destroyed there cannot be read back.
        projector: train the projector, in full.
        language: put adapters on the language model.
        rslora: rank-stabilised scale.
        dora: weight-decomposed updates.

    Raises:
        UserError: for a rank below 1, a dropout outside of [0, 1), or neither language model nor vision tower.

    Reference:
        Hu et al., LoRA, arXiv 2106.09685, section 4.1; Kalajdzievski, rsLoRA, arXiv 2312.03732, section 3; Liu et al.,
        DoRA, arXiv 2402.09353, section 4.
    """

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    vision: bool = False
    projector: bool = True
    language: bool = True
    rslora: bool = False
    dora: bool = False

    def __post_init__(self) -> None:
        if self.r < 1:
            raise UserError(f"Expected `r` of at least 1 but got {self.r}; `lora: null` trains no adapters")
        if not 0 <= self.dropout < 1:
            raise UserError(f"Expected `dropout` in [0, 1) but got {self.dropout}")
        if not (self.language or self.vision):
            raise UserError("Expected adapters on `language` or `vision` but both are false; `lora: null` trains none")


def add_adapters(model: PreTrainedModel, lora: Lora, targets: Sequence[str], projector: Sequence[str]) -> PeftModel:
    """Wrap a model; only adapters and (if asked) the projector require gradients, and only they are float32.

    What trains has to be float32: in bfloat16 the projector, at its usual rate, would not move at all.

    Args:
        model: the (quantised) model.
        lora: settings.
        targets: regular expressions of the layers that get adapters; each has to match some layer, whole name.
        projector: the projector's module names.

    Raises:
        ValueError: if an expression matches nothing.
    """
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="|".join(f"(?:{target})" for target in targets),
        modules_to_save=list(projector) if lora.projector else None,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        # The embedded model's path, or the user's: adapters are found again by it.
        base_model_name_or_path=model.config.name_or_path,
    )
    wrapped = get_peft_model(model, config)
    assert isinstance(wrapped, PeftModel)
    for module in wrapped.modules():
        if isinstance(module, ModulesToSaveWrapper):
            _train_in_float32(module.modules_to_save["default"])
    return wrapped


def _train_in_float32(module: nn.Module) -> None:
    """Hold the weights in float32 between neighbours of another dtype (peft does so for adapters only)."""
    dtype = next(module.parameters()).dtype
    if dtype == torch.float32:
        return
    module.to(torch.float32)
    module.register_forward_pre_hook(_cast_inputs)

    def cast_output(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:  # noqa: ANN401
        return output.to(dtype)

    module.register_forward_hook(cast_output)


def _cast_inputs(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Floating-point inputs as the weights are."""
    return tuple(x.float() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs)
