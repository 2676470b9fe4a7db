"""Which layers get adapters, and making what trains trainable: the useful parts of peft's k-bit preparation.

``prepare_model_for_kbit_training`` is not used: it turns everything that is not 4-bit into float32 and gives a frozen
vision tower an autograd graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from peft import LoraConfig, PeftModel, get_peft_model
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
        UserError: if neither the language model nor the vision tower gets adapters.

    Reference:
        Hu et al., LoRA, arXiv 2106.09685, section 4.1.
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
        if not (self.language or self.vision):
            raise UserError("Expected adapters on `language` or `vision` but both are false; `lora: null` trains none")


def add_adapters(model: PreTrainedModel, lora: Lora, targets: Sequence[str], projector: Sequence[str]) -> PeftModel:
    """Wrap a model; only adapters and (if asked) the projector require gradients.

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
    return wrapped
