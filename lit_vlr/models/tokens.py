"""Padding of prompts and answers: right for training, left for generation; and several answers behind one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def encode_rows(prompts: Sequence[list[int]], answers: Sequence[list[int]], pad: int) -> dict[str, Tensor]:
    """The token tensors of a `Batch`.

    Args:
        prompts: token ids of each prompt.
        answers: token ids of each answer, end token included.
        pad: id to pad with; it is masked, so any will do.

    Returns:
        ``input_ids``, ``attention_mask``, ``labels`` (B, T) and ``prompt_ids``, ``prompt_mask`` (B, T').

    >>> rows = encode_rows([[1, 2], [1, 2, 3]], [[9], [8]], pad=0)
    >>> rows["labels"].tolist(), rows["prompt_ids"].tolist()
    ([[-100, -100, 9, -100], [-100, -100, -100, 8]], [[0, 1, 2], [1, 2, 3]])
    """
    full = [p + a for p, a in zip(prompts, answers, strict=True)]
    length, prompt_length = max(map(len, full)), max(map(len, prompts))
    right = [length - len(row) for row in full]
    left = [prompt_length - len(p) for p in prompts]
    return {
        "input_ids": torch.tensor([row + [pad] * n for row, n in zip(full, right, strict=True)]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * n for row, n in zip(full, right, strict=True)]),
        "labels": torch.tensor(
            [[-100] * len(p) + a + [-100] * n for p, a, n in zip(prompts, answers, right, strict=True)]
        ),
        "prompt_ids": torch.tensor([[pad] * n + p for p, n in zip(prompts, left, strict=True)]),
        "prompt_mask": torch.tensor([[0] * n + [1] * len(p) for p, n in zip(prompts, left, strict=True)]),
    }


class PackedAnswers(NamedTuple):
    """Several answers to each prompt in one row: every answer sees the prompt and itself, and none of the others.

    A row is as long as the prompt and all its answers together, where a row for each answer would repeat the prompt,
    and with it the picture. L is the length of the longest row, N the number of answer tokens of the batch.

    Attributes:
        input_ids: prompt and answers without their last tokens, which predict nothing, (B, L).
        position_ids: places as if each answer alone stood behind the prompt, (B, L).
        allowed: which token (second) each token (first) may attend to, (B, L, L) bool.
        rows: row of each answer token, (N,).
        places: where in the row it is predicted, (N,).
        answers: which of the row's answers it belongs to, (N,).
        labels: the token itself, (N,).
    """

    input_ids: Tensor
    position_ids: Tensor
    allowed: Tensor
    rows: Tensor
    places: Tensor
    answers: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> PackedAnswers:
        """On another device."""
        return PackedAnswers(*(tensor.to(device) for tensor in self))


def pack_answers(prompts: Sequence[list[int]], answers: Sequence[Sequence[Sequence[int]]], pad: int) -> PackedAnswers:
    """Lay out several answers to each prompt.

    Args:
        prompts: token ids of each prompt.
        answers: token ids of each row's answers, end tokens included where they have one; none may be empty.
        pad: id to pad with.

    >>> packed = pack_answers([[1, 2]], [[[5, 9], [6, 7, 9]]], pad=0)
    >>> packed.input_ids.tolist(), packed.position_ids.tolist(), packed.places.tolist(), packed.labels.tolist()
    ([[1, 2, 5, 6, 7]], [[0, 1, 2, 2, 3]], [1, 2, 1, 3, 4], [5, 9, 6, 7, 9])
    >>> packed.allowed[0].int().tolist()
    [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1]]
    """
    ids, positions, owners = [], [], []
    found: list[tuple[int, int, int, int]] = []  # row, place, answer, label
    for row, (prompt, choices) in enumerate(zip(prompts, answers, strict=True)):
        n = len(prompt)
        row_ids, row_positions, row_owners = list(prompt), list(range(n)), [0] * n
        for number, answer in enumerate(choices):
            predictors = [n - 1, *range(len(row_ids), len(row_ids) + len(answer) - 1)]
            found += [(row, place, number, label) for place, label in zip(predictors, answer, strict=True)]
            row_ids += answer[:-1]
            row_positions += range(n, n + len(answer) - 1)
            row_owners += [number + 1] * (len(answer) - 1)
        ids.append(row_ids)
        positions.append(row_positions)
        owners.append(row_owners)
    length = max(map(len, ids))

    def padded(columns: list[list[int]], value: int) -> Tensor:
        return torch.tensor([column + [value] * (length - len(column)) for column in columns])

    owner = padded(owners, -1)
    shared = (owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])
    rows, places, numbers, labels = torch.tensor(found).unbind(1)
    return PackedAnswers(
        input_ids=padded(ids, pad),
        position_ids=padded(positions, 0),
        allowed=shared & torch.ones(length, length, dtype=torch.bool).tril(),
        rows=rows,
        places=places,
        answers=numbers,
        labels=labels,
    )
