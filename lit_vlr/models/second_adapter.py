"""A further adapter on a model that has one: on for some passes, off for the others."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

from lit_vlr.errors import UserError

_FIRST = "default"


def add_adapter(model: Any, name: str, targets: Sequence[str]) -> None:  # noqa: ANN401 - a PeftModel or not
    """Add an adapter with the first one's settings, off and ready to be trained; a second call does nothing.

    Args:
        model: with a first adapter.
        name: of the further one.
        targets: regular expressions of the layers that get it. Nothing is trained in full for it.

    Raises:
        UserError: if the model has no adapters, or the name is that of the first.
    """
    if not isinstance(model, PeftModel):
        raise UserError(f"Expected a model with adapters for another, {name!r}, but `lora` is null; set `family.lora`")
    if name == _FIRST or not name.isidentifier():
        raise UserError(f"Expected `adapter` as a name of its own but got {name!r}; 'self_evaluation' is usual")
    if name in model.peft_config:
        return
    config: Any = copy.deepcopy(model.peft_config[_FIRST])
    config.target_modules = "|".join(f"(?:{target})" for target in targets)
    config.modules_to_save = None
    with torch.random.fork_rng():  # whoever trains without it draws the same numbers
        model.add_adapter(name, config)
    for parameter in _of(model, name):
        parameter.requires_grad_(True)


@contextmanager
def with_adapter(model: Any, name: str) -> Iterator[None]:  # noqa: ANN401
    """Both adapters on, and only the further one trained: no gradient of these passes reaches any other parameter.

    Gradients of earlier passes, which are still to be taken, stay what they are. What is recomputed in a backward pass
    after the end of this context would be computed without the adapter: no gradient checkpointing.
    """
    own = set(_of(model, name))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer) and _has(module, name)]
    try:
        for layer in layers:
            layer.set_adapter([_FIRST, name])  # also asks for gradients, as no pass here wants them
        _only(model, [parameter for parameter in trained if parameter in own])
        yield
    finally:
        for layer in layers:
            layer.set_adapter([_FIRST])
        _only(model, trained)


def is_of_adapter(parameter: str, name: str) -> bool:
    """Whether a parameter is one of an adapter's, by its name.

    >>> is_of_adapter("q_proj.lora_A.judge.weight", "judge"), is_of_adapter("q_proj.lora_A.default.weight", "judge")
    (True, False)
    """
    return f".{name}." in parameter


def _only(model: PeftModel, trained: Sequence[torch.nn.Parameter]) -> None:
    wanted = set(trained)
    for parameter in model.parameters():
        if parameter.requires_grad != (parameter in wanted):
            parameter.requires_grad_(parameter in wanted)


def _of(model: PeftModel, name: str) -> list[torch.nn.Parameter]:
    return [parameter for key, parameter in model.named_parameters() if is_of_adapter(key, name)]


def _has(layer: BaseTunerLayer, name: str) -> bool:
    return any(name in getattr(layer, kind) for kind in layer.adapter_layer_names)
