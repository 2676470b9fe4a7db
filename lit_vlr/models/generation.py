"""Generation with any transformers model: texts and token statistics, greedy or drawn row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessorList

from lit_vlr.models.base import Generated
from lit_vlr.models.token_statistics import Steps, TokenStatistics


def generate_answers(
    base: Any,  # noqa: ANN401 - `generate` annotates its `self` with a protocol that mypy does not match
    tokenizer: Any,  # noqa: ANN401
    inputs: Mapping[str, Any],
    max_new_tokens: int,
    watch: TokenStatistics,
    ends: Sequence[int],
) -> Generated:
    """Generate and read the answers off; what stands behind an end token counts nowhere.

    Args:
        base: a transformers model.
        tokenizer: the model's.
        inputs: what ``generate`` takes, with left-padded ``input_ids`` (B, T').
        max_new_tokens: bound on the answer.
        watch: a fresh one; it chooses the tokens.
        ends: every token that ends an answer, see `end_tokens`.

    Returns:
        Answers of the B rows.
    """
    pad = ends[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    with evaluating(base):
        ids = base.generate(
            **inputs,
            eos_token_id=list(ends),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            logits_processor=LogitsProcessorList([watch]),
            pad_token_id=pad,
        )
    new = ids[:, inputs["input_ids"].shape[1] :]
    ended = torch.isin(new, torch.tensor(list(ends), device=new.device)).int()
    mask = ended.cumsum(1) - ended == 0  # up to and with the end token
    tokens = new.masked_fill(~mask, pad)
    # On some devices transformers runs a step beyond the end before it notices.
    steps = Steps(*(statistic[:, : new.shape[1]].masked_fill(~mask, 0.0) for statistic in watch.steps()))
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return Generated(
        texts=tuple(text.strip() for text in texts),
        token_log_probs=steps.log_probs,
        token_mask=mask,
        tokens=tokens,
        token_entropy=steps.entropy,
        token_margin=steps.margin,
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode, and give every module its own mode back.

    In train mode with gradient checkpointing transformers drops the cache but goes on feeding one token at a time: each
    token is then chosen without the prompt, with no more than a log line.
    """
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def end_tokens(base: Any, tokenizer: Any, end: int) -> tuple[int, ...]:  # noqa: ANN401
    """Every token that ends an answer: the one that is trained on, and those that generation stops at.

    Chat models have several, and the tokenizer knows one of them.

    Args:
        base: a transformers model.
        tokenizer: the model's.
        end: the token that ends a trained answer.
    """
    stops = base.generation_config.eos_token_id
    listed = stops if isinstance(stops, list) else [] if stops is None else [stops]
    return tuple(dict.fromkeys([end, tokenizer.eos_token_id, *listed]))
