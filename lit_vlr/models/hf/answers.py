"""Log-probabilities of several answers to one prompt, from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.tokens import encode_rows, pack_answers
from lit_vlr.types import Batch

if TYPE_CHECKING:
    from lit_vlr.models.hf.family import TransformersFamily

Answers = Sequence[Sequence[Sequence[int]]]


def packed_log_probs(family: TransformersFamily, batch: Batch, answers: Answers, features: ImageFeatures) -> Tensor:
    """With the prompt and the picture once a row and the answers packed behind them, (B, K); see `pack_answers`."""
    prompts = _prompts(batch)
    packed = pack_answers(prompts, answers, family.pad).to(batch.prompt_ids.device)
    (language,) = family.towers.modules(family.base)["language"]
    ids = _without_pictures(packed.input_ids, list(map(len, prompts)), family)
    hidden = family.body(
        ids,
        features,
        attention_mask=attention_mask(packed.allowed, language, family.name_or_path),
        position_ids=family.packed_positions(ids, packed.position_ids, features),
    )
    logits = family.head(hidden[packed.rows, packed.places]).float()
    log_probs = logits.log_softmax(-1).gather(1, packed.labels[:, None])[:, 0]
    return _sums(log_probs, packed.rows, packed.answers, answers)


def row_log_probs(family: TransformersFamily, batch: Batch, answers: Answers, features: ImageFeatures) -> Tensor:
    """With a row for each answer, (B, K); the vision tower sees each picture once all the same."""
    of = [(row, k) for row, choices in enumerate(answers) for k in range(len(choices))]
    prompts = _prompts(batch)
    rows = encode_rows([prompts[row] for row, _ in of], [list(answers[row][k]) for row, k in of], family.pad)
    device = batch.prompt_ids.device
    ids, mask, labels = (rows[key].to(device) for key in ("input_ids", "attention_mask", "labels"))
    is_answer = labels != -100
    ids = _without_pictures(ids, [len(prompts[row]) for row, _ in of], family)
    hidden = family.body(ids, features.rows([row for row, _ in of]), is_answer, attention_mask=mask)
    where, places = is_answer[:, 1:].nonzero(as_tuple=True)
    logits = family.head(hidden[where, places]).float()
    log_probs = logits.log_softmax(-1).gather(1, labels[where, places + 1][:, None])[:, 0]
    row, k = torch.tensor(of, device=device).unbind(1)
    return _sums(log_probs, row[where], k[where], answers)


def _prompts(batch: Batch) -> list[list[int]]:
    return [ids[mask.bool()].tolist() for ids, mask in zip(batch.prompt_ids, batch.prompt_mask, strict=True)]


def _without_pictures(ids: Tensor, lengths: Sequence[int], family: TransformersFamily) -> Tensor:
    """Input ids with no placeholder behind the prompts: a model may say one, and no picture belongs to it."""
    behind = torch.arange(ids.shape[1], device=ids.device) >= torch.tensor(lengths, device=ids.device)[:, None]
    return ids.masked_fill(behind & (ids == family.config.image_token_id), family.pad)


def attention_mask(allowed: Tensor, language: Any, name: str) -> Tensor:  # noqa: ANN401
    """A mask (B, L, L) as a language model's attention takes it.

    Args:
        allowed: True where a token (second) may be attended to by another (first).
        language: the language model.
        name: the checkpoint's, for errors.

    Raises:
        UserError: if the attention takes no such masks.
    """
    match language.config._attn_implementation:
        case "sdpa":
            return allowed[:, None]
        case "eager":
            dtype = language.get_input_embeddings().weight.dtype
            return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
        case other:
            raise UserError(
                f"Expected attention `sdpa` or `eager`, which take any mask, but {name} has {other!r}; load it with "
                "one of these"
            )


def _sums(log_probs: Tensor, rows: Tensor, numbers: Tensor, answers: Answers) -> Tensor:
    """Sum the log-probabilities of each answer's tokens, (N,) to (B, K); -inf where a row has fewer than K answers."""
    k = max(map(len, answers))
    sums = log_probs.new_zeros(len(answers) * k).index_add(0, rows * k + numbers, log_probs)
    counts = torch.tensor([len(choices) for choices in answers], device=sums.device)
    missing = torch.arange(k, device=sums.device) >= counts[:, None]
    return sums.view(len(answers), k).masked_fill(missing, float("-inf"))
