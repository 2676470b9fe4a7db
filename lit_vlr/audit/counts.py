"""What is quantised, adapted and trained, by tower; and whether that is what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

import bitsandbytes as bnb
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from lit_vlr.errors import AuditError
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Bits, four_bit_layers

ELSEWHERE = "elsewhere"
TOWERS = ("vision", "projector", "language", "head", ELSEWHERE)


@dataclass
class TowerCounts:
    """Numbers of weights in one tower.

    Attributes:
        four_bit: held in 4 bit.
        eight_bit: held in 8 bit.
        plain: held as they are, adapters left out.
        lora: in adapters.
        trained: that require gradients, adapters included.
        plain_linear: names of linear layers that are not quantised and are no part of an adapter.
        quantised: names of layers that are quantised.
        adapted: names of layers with adapters.
        stray: names of parameters that are trained but belong to no adapter.
    """

    four_bit: int = 0
    eight_bit: int = 0
    plain: int = 0
    lora: int = 0
    trained: int = 0
    plain_linear: list[str] = field(default_factory=list)
    quantised: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


def count_towers(model: nn.Module, tower_of: Callable[[str], str | None]) -> dict[str, TowerCounts]:
    """Count, over every module and parameter.

    Args:
        model: the transformers model, adapters injected.
        tower_of: the tower of a module or parameter by its name; None is counted as ``elsewhere``.
    """
    counts = {tower: TowerCounts() for tower in TOWERS}
    adapters = set()
    for name, module in model.named_modules():
        found = counts[tower_of(name) or ELSEWHERE]
        if isinstance(module, BaseTunerLayer):  # a mixin, no module by itself
            found.adapted.append(name)
            own = cast("nn.Module", module).named_parameters()
            adapters |= {f"{name}.{inner}" for inner, _ in own if not inner.startswith("base_layer.")}
        if isinstance(module, bnb.nn.Linear4bit):
            found.quantised.append(name)
            found.four_bit += module.in_features * module.out_features
        elif isinstance(module, bnb.nn.Linear8bitLt):
            found.quantised.append(name)
            found.eight_bit += module.in_features * module.out_features
        elif type(module) is nn.Linear and ".lora_" not in name:
            found.plain_linear.append(name)
    quantised = {f"{name}.weight" for found in counts.values() for name in found.quantised}
    for name, parameter in model.named_parameters():
        found = counts[tower_of(name) or ELSEWHERE]
        if name in adapters:
            found.lora += parameter.numel()
        elif name not in quantised:
            found.plain += parameter.numel()
        if parameter.requires_grad:
            found.trained += parameter.numel()
            if name not in adapters:
                found.stray.append(name)
    return counts


def check_counts(
    counts: Mapping[str, TowerCounts], bits: Bits, lora: Lora | None, trained: Collection[str] = ()
) -> None:
    """Compare what is there with what was asked for.

    Args:
        counts: of `count_towers`.
        bits: of the language model.
        lora: adapter settings; None for no adapters.
        trained: towers that are trained in full, beside what ``lora`` asks for.

    Raises:
        AuditError: naming the tower, a layer and the remedy.
    """
    _check_quantised(counts, bits)
    wanted = {"language": lora is not None and lora.language, "vision": lora is not None and lora.vision}
    full = {*trained, *(["projector"] if lora is not None and lora.projector else [])}
    for tower, found in counts.items():
        if found.adapted and not wanted.get(tower, False):
            raise AuditError(
                f"Expected no adapters in `{tower}` but {len(found.adapted)} layers have some, such as "
                f"{found.adapted[0]}; names such as `q_proj` and `all-linear` match every tower: make `lora_targets` "
                "expressions that begin with the tower, or set `lora.vision`"
            )
        if not found.adapted and wanted.get(tower, False):
            raise AuditError(
                f"Expected adapters in `{tower}` but no layer has any; check `lora_targets` against the model's names"
            )
        if tower in full and not found.stray:
            raise AuditError(f"Expected `{tower}` to be trained but it is frozen; check its name in `towers`")
        if found.stray and tower not in full:
            asked = " and ".join([*(["adapters"] if lora is not None else []), *sorted(full)]) or "nothing"
            raise AuditError(
                f"Expected {asked} to be trained and no more but {found.stray[0]} in `{tower}` is; freeze it with "
                "`requires_grad_(False)`"
            )


def _check_quantised(counts: Mapping[str, TowerCounts], bits: Bits) -> None:
    for tower, found in counts.items():
        if tower == "language" and bits != 16:
            held = found.four_bit if bits == 4 else found.eight_bit
            other = found.eight_bit if bits == 4 else found.four_bit
            if found.plain_linear or other or not held:
                example = (found.plain_linear or found.quantised or ["none there is"])[0]
                raise AuditError(
                    f"Expected every linear layer of `language` in {bits} bit but {example} is not; check "
                    "`quantization_skip`"
                )
        elif found.quantised:
            asked = "nothing with `quantization.bits` 16" if bits == 16 else "nothing but the language model"
            raise AuditError(
                f"Expected {asked} to be quantised but {len(found.quantised)} layers of `{tower}` are, such as "
                f"{found.quantised[0]}; skip lists are anchored: write `.*vision_tower`, not `vision_tower`"
            )


def check_kernels(model: nn.Module) -> None:
    """Check that bitsandbytes will not repack, and has not repacked, 4-bit weights for inference on the CPU.

    Raises:
        AuditError: see `lit_vlr.models.quantization.guard_cpu_kernels`.
    """
    for layer in four_bit_layers(model):
        state = getattr(layer.weight, "quant_state", None)
        if layer.support_avx512bf16_for_cpu or getattr(state, "packing_format_for_cpu", False):
            raise AuditError(
                "Expected 4-bit layers that keep their weights' layout but bitsandbytes repacks them on this CPU in "
                "the first pass without gradients, and they give no gradient to their input from then on; call "
                "`lit_vlr.models.quantization.guard_cpu_kernels` after loading"
            )
