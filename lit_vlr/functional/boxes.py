"""Overlap of boxes, the score of RefCOCO, RefCOCO+ and RefCOCOg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lit_vlr.functional._validation import check_number

Boxes: TypeAlias = Tensor | np.ndarray[Any, Any] | Sequence[Sequence[float]]
"""N boxes ``(x1, y1, x2, y2)``: a tensor on any device, an array, or a list of fours."""


def box_iou(boxes: Boxes, targets: Boxes) -> Tensor:
    r"""Intersection over union of each box with *its* target, row by row, in [0, 1].

    Convention: corners ``(x1, y1, x2, y2)``, continuous coordinates, so that a box is :math:`x_2 - x_1` wide and not
    one pixel more; both sides in one unit, as pixels of the same picture. A predicted box without area, which includes
    one with its corners swapped, overlaps nothing and scores 0. Multiplying two negative sides, as libraries do, would
    give it a positive area.

    Args:
        boxes: predicted boxes, (N, 4); ``[0, 0, 0, 0]`` for a reply that holds none.
        targets: the right boxes, (N, 4), each with an area.

    Returns:
        The overlaps, float64 on the CPU, (N,).

    Raises:
        TypeError: for what is no number.
        ValueError: for shapes other than (N, 4), different or no rows, coordinates that are not finite, or a target
            without an area.

    Example:
        >>> box_iou([[0, 0, 2, 2], [2, 2, 0, 0]], [[0, 1, 2, 3], [0, 0, 2, 2]])
        tensor([0.3333, 0.0000], dtype=torch.float64)
    """
    given, wanted = _as_boxes("boxes", boxes), _as_boxes("targets", targets)
    if given.shape != wanted.shape:
        raise ValueError(
            f"Expected `boxes` and `targets` of one length but got {len(given)} and {len(wanted)}; pass them row by "
            "row for the same questions"
        )
    flat = (_area(wanted) == 0).nonzero()
    if flat.numel():
        first = int(flat[0])
        raise ValueError(
            f"Expected `targets` with x1 < x2 and y1 < y2 but got {wanted[first].tolist()} at index {first}; convert "
            "(x, y, width, height) to corners"
        )
    overlap = torch.cat([torch.maximum(given[:, :2], wanted[:, :2]), torch.minimum(given[:, 2:], wanted[:, 2:])], dim=1)
    shared = _area(overlap)
    # A box with swapped corners still "overlaps" where its target contains it; its own area of 0 says that it is none.
    shared = torch.where(_area(given) > 0, shared, torch.zeros_like(shared))
    return shared / (_area(given) + _area(wanted) - shared)


def box_iou_accuracy(boxes: Boxes, targets: Boxes, iou_threshold: float = 0.5) -> Tensor:
    r"""Share of the boxes that overlap their target enough, in [0, 1]; higher is better.

    .. math:: \frac1N \sum_i [\text{IoU}(b_i, t_i) \ge \text{threshold}]

    For the accuracy of each row, which is what selective metrics take, compare :func:`box_iou` with the threshold.

    Args:
        boxes: predicted boxes, (N, 4); see :func:`box_iou`.
        targets: the right boxes, (N, 4).
        iou_threshold: smallest overlap that counts, itself included, in (0, 1].

    Returns:
        The accuracy, a float64 scalar.

    Raises:
        TypeError: for what is no number.
        ValueError: for ``iou_threshold`` outside (0, 1], or the reasons of :func:`box_iou`.

    Reference:
        Yu et al., "Modeling Context in Referring Expressions", ECCV 2016.

    Example:
        >>> box_iou_accuracy([[0, 0, 2, 2], [0, 0, 2, 2]], [[0, 0, 2, 4], [0, 0, 2, 5]])
        tensor(0.5000, dtype=torch.float64)
    """
    return (box_iou(boxes, targets) >= check_iou_threshold(iou_threshold)).double().mean()


def check_iou_threshold(value: float) -> float:
    """An overlap in (0, 1]; at 0 every box would be right."""
    return check_number("iou_threshold", value, 0, 1, "give the smallest overlap that counts", low_open=True)


def _area(boxes: Tensor) -> Tensor:
    """Areas, 0 where a side is not positive, (N,)."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return sides[:, 0] * sides[:, 1]


def _as_boxes(name: str, value: Boxes) -> Tensor:
    """Finite float64 corners on the CPU, (N, 4), N >= 1."""
    try:
        tensor = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:  # strings, ragged lists
        raise TypeError(f"Expected `{name}` to hold real numbers but got {type(value).__name__}: {error}") from error
    if tensor.is_complex():
        raise TypeError(f"Expected `{name}` to hold real numbers but got {tensor.dtype}; pass its real part")
    if tensor.numel() == 0:
        raise ValueError(f"Expected `{name}` with at least one box but got none; was the split empty?")
    if tensor.ndim != 2 or tensor.shape[1] != 4:
        raise ValueError(
            f"Expected `{name}` of shape (N, 4) but got {tuple(tensor.shape)}; pass one (x1, y1, x2, y2) a question"
        )
    corners = tensor.to(device="cpu", dtype=torch.float64)
    wrong = (~corners.isfinite().all(dim=1)).nonzero()
    if wrong.numel():
        first = int(wrong[0])
        raise ValueError(
            f"Expected `{name}` to be finite but got {corners[first].tolist()} at index {first}; give [0, 0, 0, 0] for "
            "a reply that holds no box"
        )
    return corners
