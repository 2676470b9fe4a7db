"""Reading and replacing the pictures of a batch of any kind, with errors that say what to change."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

_HALF = (torch.bfloat16, torch.float16)


def read_images(batch: Any, image_key: int | str, half: bool = False) -> Tensor:  # noqa: ANN401 - no common type
    """Take the pictures out of a batch and check that eps means what it says for them.

    Args:
        batch: anything with ``batch[image_key]``: a dict, a record, a list or a tuple.
        image_key: name or index of the pictures.
        half: take 16-bit pictures too, as the Trainer makes them under ``bf16-true``; `rounded_back` is the way back.

    Returns:
        (B, C, H, W), float32 in [0, 1].

    Raises:
        TypeError: if the entry is not a float32 tensor.
        ValueError: if it is missing, of another shape, or not in [0, 1].
    """
    try:
        images = batch[image_key]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"Expected batch[{image_key!r}] to be the images but the batch has {_describe(batch)}; set `image_key`"
        ) from error
    name = f"batch[{image_key!r}]"
    if not isinstance(images, Tensor):
        raise TypeError(
            f"Expected {name} as one tensor (B, C, H, W) but got {type(images).__name__}; bring pictures of "
            "different size to one canvas in the collate function"
        )
    if images.dtype == torch.uint8:
        raise TypeError(f"Expected {name} as float32 in [0, 1] but got torch.uint8; pass images.float() / 255")
    if half and images.dtype in _HALF:
        images = images.float()  # exactly the pixels that the model is given
    if images.dtype != torch.float32:
        raise TypeError(
            f"Expected {name} as float32 but got {images.dtype}, in which a small eps is lost; keep pixels in float32 "
            "and cast inside the model, or let the Trainer cast (precision `bf16-mixed` or `bf16-true`)"
        )
    if images.dim() != 4:
        raise ValueError(f"Expected {name} of shape (B, C, H, W) but got {tuple(images.shape)}; add the missing axes")
    low, high = (float(bound) for bound in images.aminmax()) if images.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # NaN fails too
        raise ValueError(
            f"Expected {name} in [0, 1] but got values from {low:.3g} to {high:.3g}; pass unnormalised pixels and "
            "normalise inside the module"
        )
    return images


def half_dtype(batch: Any, image_key: int | str) -> torch.dtype | None:  # noqa: ANN401
    """The type of the batch's pictures if it has 16 bits, else None."""
    try:
        dtype = getattr(batch[image_key], "dtype", None)
    except (KeyError, IndexError, TypeError):
        return None
    return dtype if dtype in _HALF else None


def rounded_back(images: Tensor, clean: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Attacked pictures in the type of the batch, rounded towards the clean ones, so that none leaves its ball.

    Args:
        images: attacked pictures, float32 in [0, 1].
        clean: what they were, float32 with values that ``dtype`` has.
        dtype: bfloat16 or float16; None leaves the pictures as they are.

    >>> clean = torch.tensor([0.5, 1.0])
    >>> rounded_back(clean + torch.tensor([0.0035, -0.0035]), clean, torch.bfloat16).float() - clean
    tensor([0., 0.])
    """
    if dtype is None:
        return images
    near = images.to(dtype)
    gap = near.float() - clean
    beyond = gap.abs() > (images - clean).abs()
    # Of numbers that are not negative the next smaller one has the bits of the integer below.
    back = (near.view(torch.int16) - gap.sign().to(torch.int16)).view(dtype)
    return torch.where(beyond, back, near)


def write_images(batch: Any, image_key: int | str, images: Tensor) -> None:  # noqa: ANN401
    """Replace the pictures of a batch in place: Lightning hands the same object to ``training_step``.

    Raises:
        TypeError: if the batch cannot be changed in place.
    """
    try:
        batch[image_key] = images
    except (TypeError, AttributeError) as error:
        raise TypeError(
            f"Expected a batch that can be changed in place but got {type(batch).__name__}; return a list or a dict "
            "from the collate function"
        ) from error


def mark_attacked(batch: Any, clean: Tensor, images: Tensor) -> None:  # noqa: ANN401
    """Tell a batch that asks for it, by an entry ``attacked``, which rows have other pictures now, (B,), bool.

    A loss that has to treat them apart can look there. Batches without that entry are left alone.
    """
    asks = "attacked" in batch if isinstance(batch, dict) else _has_field(batch, "attacked")
    if asks:
        batch["attacked"] = (images != clean).flatten(1).any(1)


def _has_field(batch: Any, name: str) -> bool:  # noqa: ANN401
    return is_dataclass(batch) and name in {field.name for field in fields(batch)}


def replaced_images(batch: Any, image_key: int | str, images: Tensor) -> Any:  # noqa: ANN401
    """A batch of its own with other pictures and otherwise the same entries, whatever the batch is.

    Raises:
        TypeError: if such a batch cannot be made.
    """
    if isinstance(batch, tuple):
        assert isinstance(image_key, int)  # else it could not have been read
        items = list(batch)
        items[image_key] = images
        return type(batch)(*items) if hasattr(batch, "_fields") else tuple(items)
    other = copy.copy(batch)
    try:
        write_images(other, image_key, images)
    except TypeError:
        if not (is_dataclass(other) and isinstance(image_key, str) and hasattr(other, image_key)):
            raise
        object.__setattr__(other, image_key, images)  # frozen ones too
    return other


def ordinary(value: Any) -> Any:  # noqa: ANN401
    """Copy a batch so that autograd accepts its tensors.

    Tensors made under inference mode cannot be saved for a backward pass; they are cloned, everything else is shared.
    """
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, tuple):
        items = [ordinary(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [ordinary(item) for item in value]
    if hasattr(value, "keys") and hasattr(value, "__setitem__"):  # a dict, or what tokenizers return
        other = copy.copy(value)
        for key in list(value.keys()):
            other[key] = ordinary(value[key])
        return other
    if is_dataclass(value) and not isinstance(value, type):
        other = copy.copy(value)
        for field in fields(value):
            object.__setattr__(other, field.name, ordinary(getattr(value, field.name)))  # frozen ones too
        return other
    return value


def select_rows(value: Any, index: Tensor, size: int) -> Any:  # noqa: ANN401
    """Take rows out of a batch of any kind.

    What has a method ``rows(index)`` does it itself. Tensors are narrowed along their first dimension, records (dicts,
    dataclasses, tuples, lists) entry by entry. Inside of a record, a list or a tuple of the length of the batch is one
    thing a sample. Numbers, texts, None and scalars are shared by all samples, and stay.

    Args:
        value: the batch, or an entry of it.
        index: which rows, (n,) int64.
        size: the number of rows there are, B.

    Raises:
        ValueError: if a tensor or a list of things has another length than the batch, so that it is not known which
            of it belongs to a sample.

    >>> select_rows({"x": torch.arange(3), "uid": ["a", "b", "c"], "split": "test"}, torch.tensor([2, 0]), 3)
    {'x': tensor([2, 0]), 'uid': ['c', 'a'], 'split': 'test'}
    """
    return _select(value, index, size, "batch", inside=False)


def _select(value: Any, index: Tensor, size: int, name: str, inside: bool = True) -> Any:  # noqa: ANN401
    if callable(own := getattr(value, "rows", None)):
        return own(index)
    if isinstance(value, Tensor):
        if value.dim() and len(value) != size:
            _refuse(name, tuple(value.shape), size)
        return value[index.to(value.device)] if value.dim() else value
    if isinstance(value, (list, tuple)):
        return _select_items(value, index, size, name, inside)
    if hasattr(value, "keys") and hasattr(value, "__setitem__"):
        other = copy.copy(value)
        for key in list(value.keys()):
            other[key] = _select(value[key], index, size, f"{name}[{key!r}]")
        return other
    if is_dataclass(value) and not isinstance(value, type):
        other = copy.copy(value)
        for field in fields(value):
            entry = _select(getattr(value, field.name), index, size, f"{name}.{field.name}")
            object.__setattr__(other, field.name, entry)  # frozen ones too
        return other
    return value


def _select_items(items: Any, index: Tensor, size: int, name: str, inside: bool) -> Any:  # noqa: ANN401
    """A list or tuple: one thing a sample, or a record whose entries are narrowed in turn."""
    if inside and len(items) == size and not hasattr(items, "_fields"):
        return type(items)(items[i] for i in index.tolist())
    if inside and not any(isinstance(item, (Tensor, list, tuple)) or hasattr(item, "keys") for item in items):
        _refuse(name, f"length {len(items)}", size)
    found = [_select(item, index, size, f"{name}[{i}]") for i, item in enumerate(items)]
    return type(items)(*found) if hasattr(items, "_fields") else type(items)(found)


def _refuse(name: str, got: object, size: int) -> NoReturn:
    raise ValueError(
        f"Expected {name} with one entry for each of {size} samples but got {got}; give the batch a `rows(index)` or "
        "the module a `select_rows(batch, index)` that knows which of it belongs to a sample"
    )


def _describe(batch: Any) -> str:  # noqa: ANN401
    if hasattr(batch, "keys"):
        return f"the keys {list(batch.keys())}"
    if is_dataclass(batch):
        return f"the fields {[field.name for field in fields(batch)]}"
    if isinstance(batch, (list, tuple)):
        return f"{len(batch)} entries, read by an int"
    return f"no entries (it is a {type(batch).__name__})"
