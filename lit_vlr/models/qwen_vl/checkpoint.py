"""Loading that refuses what does not fit: transformers would draw missing weights at random, with a warning."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

from transformers import PreTrainedModel

from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.models.quantization import quantized_layers
from lit_vlr.models.qwen_vl.keys import original_names


def load_checked(
    load: Callable[..., Any],
    folder: str | PathLike[str],
    *args: Any,  # noqa: ANN401
    **kwargs: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Call transformers' ``from_pretrained`` and look at what it says.

    Raises:
        CheckpointError: naming the weights as the checkpoint does.
    """
    wants_info = kwargs.pop("output_loading_info", False)
    ignores = kwargs.pop("ignore_mismatched_sizes", False)
    try:
        model, info = load(folder, *args, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs)
    except OSError as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"Expected a Qwen-VL checkpoint in {str(folder)!r} but it cannot be read: {reason}; give the folder with "
            "config.json and all weight files"
        ) from error
    shapes = [] if ignores else [(n, tuple(found), tuple(wanted)) for n, found, wanted in info["mismatched_keys"]]
    shapes += _packed_shapes(model)
    if shapes:
        name, found, wanted = min(shapes)
        raise CheckpointError(
            f"Expected {original_names([name])[0]} for {name} of shape {wanted} but {str(folder)!r} gives {found}, "
            f"and so on for {len(shapes)} weights; is its config.json of another model?"
        )
    for kind, names in (("missing", info["missing_keys"]), ("left over", info["unexpected_keys"])):
        if names:
            listed = original_names(names)
            raise CheckpointError(
                f"Expected the weights of Qwen-VL in {str(folder)!r} but {len(listed)} are {kind}: "
                f"{', '.join(listed[:3])}; download the folder again, and check the number of layers in config.json"
            )
    return (model, info) if wants_info else model


def _packed_shapes(model: PreTrainedModel) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """4-bit weights of another shape than their layer: transformers compares none of those."""
    layers = {id(layer) for layer in quantized_layers(model)}
    found: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    for name, layer in model.named_modules():
        state = getattr(layer.weight, "quant_state", None) if id(layer) in layers else None
        if state is not None and tuple(state.shape) != (layer.out_features, layer.in_features):
            found.append((f"{name}.weight", tuple(state.shape), (layer.out_features, layer.in_features)))
    return found


def refuse_quantized(model: PreTrainedModel) -> None:
    """Say that a 4-bit model cannot be saved as the original.

    Raises:
        UserError: if a layer is quantised.
    """
    if quantized_layers(model):
        raise UserError(
            "Expected unquantised weights to save as an original Qwen-VL folder but some are in 4 bit; load with "
            "`bits: 16`, or save the adapter alone"
        )
