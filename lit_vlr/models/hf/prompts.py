"""Texts around pictures and questions: chat templates, tokens that a user's text must not contain, answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import jinja2

from lit_vlr.models.base import IMAGE


def chat_prompt(tokenizer: Any, marker: str, instruction: str) -> str | None:  # noqa: ANN401
    """One turn of a user with a picture and a text, as the tokenizer's chat template writes it.

    Args:
        tokenizer: the checkpoint's.
        marker: what the family's templates write for a picture.
        instruction: the user's text, with ``{question}``.

    Returns:
        The prompt with ``<image>`` for the picture; None if there is no template, or only one for text.
    """
    if not tokenizer.chat_template:
        return None
    content = [{"type": "image"}, {"type": "text", "text": instruction}]
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
    except (jinja2.TemplateError, TypeError):  # a template for text takes a string as content
        return None
    usable = text.count(marker) == 1 and text.count("{question}") == 1
    return text.replace(marker, IMAGE) if usable else None


def special_tokens(tokenizer: Any) -> frozenset[str]:  # noqa: ANN401
    """Every text that the tokenizer turns into one token with a meaning of its own."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return frozenset({IMAGE, *tokenizer.all_special_tokens, *added} - {""})


def without(text: str, tokens: Collection[str]) -> str:
    """Take tokens out of a text, also those that taking one out puts together.

    >>> without("What <ima<image>ge>is it?", {"<image>"})
    'What is it?'
    """
    while found := next((token for token in tokens if token in text), None):
        text = text.replace(found, "")
    return text


def continuation(tokenizer: Any, context: str, text: str) -> list[int]:  # noqa: ANN401
    """Token ids of a text that goes on from another.

    SentencePiece puts a space before what it is given, so that ``" red"`` alone begins with a token that stands nowhere
    in ``"Answer: red"``. Where the two texts do not part between tokens, those of the text alone are returned.
    """
    alone: list[int] = tokenizer.encode(context, add_special_tokens=False)
    both: list[int] = tokenizer.encode(context + text, add_special_tokens=False)
    if both[: len(alone)] == alone:
        return both[len(alone) :]
    return list(tokenizer.encode(text, add_special_tokens=False))


def end_token(tokenizer: Any, preferred: Sequence[str]) -> int:  # noqa: ANN401
    """The token that ends an answer: the first preferred one that the vocabulary has, else the end of text."""
    vocabulary = tokenizer.get_vocab()
    return int(next((vocabulary[token] for token in preferred if token in vocabulary), tokenizer.eos_token_id))
