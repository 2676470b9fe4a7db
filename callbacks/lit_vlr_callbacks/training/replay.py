"""Giving the next training step the last batch once more, and keeping a batch in a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_REMEDY = "set `replays: 1`, or return a dict, a list or a dataclass from the collate function"


def contents(batch: Any) -> Any:  # noqa: ANN401 - batches have no common type
    """A batch of its own with the same entries: changing ``batch`` in place does not change it.

    Raises:
        TypeError: if the batch cannot be changed in place.
    """
    if hasattr(batch, "keys") and hasattr(batch, "__setitem__"):
        return {key: batch[key] for key in list(batch.keys())}
    if isinstance(batch, list) or (is_dataclass(batch) and not isinstance(batch, type)):
        return copy.copy(batch)
    raise TypeError(f"Expected a batch that can be replayed but got {type(batch).__name__}; {_REMEDY}")


def overwrite(batch: Any, kept: Any) -> None:  # noqa: ANN401
    """Make ``batch`` what `contents` has kept: Lightning hands the same object to ``training_step``."""
    if isinstance(kept, dict):
        for key in [key for key in batch.keys() if key not in kept]:
            del batch[key]
        for key, value in kept.items():
            batch[key] = value
    elif isinstance(kept, list):
        batch[:] = kept
    else:
        for field in fields(kept):
            setattr(batch, field.name, getattr(kept, field.name))


def to_plain(value: Any) -> Any:  # noqa: ANN401
    """A batch as tensors, numbers, texts, dicts and lists, which a checkpoint holds without pickled code.

    Raises:
        TypeError: if there is something else in it.
    """
    if value is None or isinstance(value, (bool, int, float, str, Tensor)):
        return value
    if isinstance(value, np.ndarray):
        return {"array": torch.tensor(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return {type(value).__name__: [to_plain(item) for item in value]}
    if is_dataclass(value) and not isinstance(value, type):
        return {"fields": {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, Mapping):
        return {"dict": {key: to_plain(item) for key, item in value.items()}}
    raise TypeError(f"Expected a batch that a checkpoint can hold but it has a {type(value).__name__}; {_REMEDY}")


def from_plain(plain: Any, like: Any) -> Any:  # noqa: ANN401
    """The value that `to_plain` was given; classes and devices are those at the same place of ``like``."""
    if isinstance(plain, Tensor):
        return plain.to(like.device) if isinstance(like, Tensor) else plain
    if not isinstance(plain, dict):
        return plain
    ((kind, inside),) = plain.items()
    if kind == "array":
        return inside.numpy()
    if kind == "path":
        return Path(inside)
    if kind in ("list", "tuple"):
        examples = like if isinstance(like, (list, tuple)) and like else [None]
        items = [from_plain(item, examples[min(i, len(examples) - 1)]) for i, item in enumerate(inside)]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        found = like if hasattr(like, "keys") else {}
        return {key: from_plain(item, found[key] if key in found else None) for key, item in inside.items()}
    other = copy.copy(like)
    for name, item in inside.items():
        object.__setattr__(other, name, from_plain(item, getattr(like, name)))  # frozen ones too
    return other
