"""Pixels, placeholders and position inputs of a batch, as the model gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lit_vlr.errors import AuditError
from lit_vlr_callbacks.batch import read_images


def check_pixels(images: Tensor | Sequence[Tensor]) -> tuple[float, float]:
    """Check that pixels are float32 in [0, 1]; returns their range.

    Raises:
        AuditError: otherwise; a small eps is lost in bfloat16, and means something else after normalisation.
    """
    parts = [images] if isinstance(images, Tensor) else [image[None] for image in images]
    try:
        read = [read_images({"images": part}, "images") for part in parts]
    except (TypeError, ValueError) as error:
        raise AuditError(str(error)) from error
    return float(min(part.min() for part in read)), float(max(part.max() for part in read))


def check_precision(name: str | None, dtype: torch.dtype) -> None:
    """Check that the Trainer leaves float32 pixels as they are; it casts a batch before any callback sees it.

    Args:
        name: the Trainer's precision.
        dtype: what it makes of a float32 tensor.

    Raises:
        AuditError: otherwise.
    """
    if dtype != torch.float32:
        raise AuditError(
            f"Expected a precision that leaves pixels in float32 but `--trainer.precision {name}` casts them to "
            f"{str(dtype).removeprefix('torch.')}, in which a small eps is lost; use bf16-mixed or 32-true"
        )


def check_placeholders(ids: Tensor, image_token: int, features: Sequence[int], what: str, uids: Sequence[str]) -> None:
    """Check that each row has as many placeholders as its picture has features.

    Args:
        ids: tokens, (B, T).
        image_token: the placeholder's id.
        features: how many each row's picture has.
        what: name of ``ids``, for errors.
        uids: the rows' names, for errors.

    Raises:
        AuditError: naming a row.
    """
    for count, expected, uid in zip((ids == image_token).sum(1).tolist(), features, uids, strict=True):
        if count != expected:
            raise AuditError(
                f"Expected {expected} image tokens in `{what}` of {uid}, one a feature, but got {count}; never "
                "truncate through image tokens: shorten the question, or take a smaller picture"
            )


def needs_rope_inputs(body: nn.Module) -> bool:
    """Whether positions have three axes (M-RoPE) that the model makes of its inputs."""
    return hasattr(body, "get_rope_index")


def check_rope_inputs(given: Mapping[str, Any]) -> str:
    """Check that the model is told which tokens are of pictures; returns the input that says so.

    Args:
        given: keyword arguments of the model's body.

    Raises:
        AuditError: if there are none. Qwen2.5-VL goes on with the positions of plain text.
    """
    for name in ("position_ids", "mm_token_type_ids"):
        if given.get(name) is not None:
            return name
    raise AuditError(
        "Expected `mm_token_type_ids` or `position_ids` among the model's inputs but got neither; Qwen's M-RoPE takes "
        "every image token for text without them: return them from the family's `text_inputs`"
    )
