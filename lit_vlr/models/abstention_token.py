"""The token that abstains, where a model abstains in words."""

from __future__ import annotations

from lit_vlr.errors import UserError
from lit_vlr.functional import ABSTENTION_PHRASES
from lit_vlr.models.base import ModelFamily


def abstention_token(family: ModelFamily, words: str, whose: str) -> int:
    """The token that the words are as an answer.

    The first of several tokens begins other answers, too: "unanswerable" is "un", "answer", "able" to Qwen and LLaMA,
    and "uncooked" begins with the same "un".

    Args:
        family: whose tokens these are; no weights are needed.
        words: what is said to abstain.
        whose: what has the words as its argument ``abstention``.

    Raises:
        UserError: if they are not exactly one token before the end token.
    """
    token, n = _first_of(family, words)
    if token is None or n != 1:
        known = [phrase for phrase in ABSTENTION_PHRASES if "*" not in phrase and _first_of(family, phrase)[1] == 1]
        remedy = f"one of {known}" if known else "another word; none of the phrases that are known to abstain is one"
        raise UserError(
            f"Expected `abstention` of {whose} to be one token but {words!r} is {n} tokens to {family.describe()}, of "
            f"which the first alone would abstain; set `init_args.abstention` of {whose} to {remedy}"
        )
    return token


def _first_of(family: ModelFamily, words: str) -> tuple[int | None, int]:
    """The first token of an answer, and how many there are before the end token."""
    *tokens, _ = family.answer_tokens(words)
    return tokens[0] if tokens else None, len(tokens)
