"""Which texts decline to answer: the one rule that every scorer asks before it reads a text.

A parser that looks for a yes, a number or a letter finds one in silence and in refusals, too: the official POPE script
reads "", "unanswerable" and "maybe" as *yes*, and "I can't tell" begins with what could be option I.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from lit_vlr.functional._text import check_text

_KNOWING = ("answer", "assist", "comply", "determine", "help", "identify", "provide", "say", "tell")

ABSTENTION_PHRASES: tuple[str, ...] = (
    *("unanswerable", "not answerable", "no answer", "abstain", "i abstain", "n/a", "not applicable"),
    *("unsuitable", "unsuitable image", "unknown", "not known", "undetermined", "indeterminate"),
    *("unsure", "not sure *", "i am unsure *", "i am not sure *", "uncertain", "not certain", "i am not certain *"),
    *("unclear", "it is unclear *", "it is not clear *", "maybe", "perhaps", "possibly", "it depends *"),
    *("do not know", "i do not know *", "idk", "no idea", "i have no idea *"),
    *(f"cannot {verb}" for verb in _KNOWING),
    *(f"i cannot {verb} *" for verb in _KNOWING),
    *("cannot be answered *", "cannot be determined *", "it cannot be determined *", "the question cannot *"),
    *("unable to *", "i am unable to *", "i am not able to *", "it is impossible to *", "it is not possible to *"),
    *("not enough information *", "there is not enough information *", "insufficient information *"),
    *(
        "sorry",
        "sorry i *",
        "sorry but *",
        "i am sorry *",
        "i apologize *",
        "as an ai *",
        "i decline *",
        "i must decline *",
    ),
)
"""Texts that decline, whatever their case, punctuation and contractions; a trailing ``*`` is "and whatever follows"."""

_SILENCE = " \t\r\n.,;:!?…\"'`‘’“”\u200b\ufeff"
# In this order: the apostrophes that generation drops, then those it keeps.
_CONTRACTIONS = (
    (re.compile(r"\b(?:can'?t|can not)\b"), "cannot"),
    (re.compile(r"\b(do|does|did|is|are|was|were|has|have|had)n'?t\b"), r"\1 not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bi'?m\b"), "i am"),
    (re.compile(r"\b(it|that|there)'s\b"), r"\1 is"),
)
_NO_WORD = re.compile(r"[\W_]+")


def is_abstention(text: str, phrases: Sequence[str] = ABSTENTION_PHRASES) -> bool:
    """Whether a text declines in words, or says nothing at all.

    Silence (nothing but spaces, quotation marks and ``. , ; : ! ?``) always declines. Otherwise the text is lowercased,
    contractions are spelled out with or without their apostrophe, punctuation becomes a space, and then it has to equal
    a phrase, or begin with one that ends in ``*``. So "Maybe." declines and "maybe a dog" does not, which is an answer
    with a hedge; "I'm not sure, a dog" declines, although it holds one.

    This is about what was *said*; whether the confidence is below a threshold is another question, and
    :func:`~lit_vlr.functional.abstention_rate` takes the union of both as booleans.

    Args:
        text: what the model generated.
        phrases: what counts, instead of :data:`ABSTENTION_PHRASES`; ``()`` leaves silence alone.

    Raises:
        TypeError: if ``text`` or a phrase is not a string, or ``phrases`` is one.
        ValueError: for a phrase without a word, which would match everything or nothing.

    Example:
        >>> [is_abstention(text) for text in ("", "Unanswerable.", "I don't know", "Sorry, I can't see it", "maybe")]
        [True, True, True, True, True]
        >>> [is_abstention(text) for text in ("no", "none", "unknown pleasures", "not a dog")]
        [False, False, False, False]
        >>> is_abstention("pass", phrases=("pass", "next *"))
        True
    """
    check_text("text", text)
    whole, openings = _compiled(phrases if isinstance(phrases, str) else tuple(phrases))
    if not text.strip(_SILENCE):
        return True
    said = plain_words(text)
    return said in whole or f"{said} ".startswith(openings)


def plain_words(text: str) -> str:
    """Lowercase words with contractions spelled out, single spaces, no punctuation.

    >>> plain_words("It isn't there: I can’t see it!")
    'it is not there i cannot see it'
    """
    text = text.lower().replace("’", "'")
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    return _NO_WORD.sub(" ", text).strip()


@lru_cache(maxsize=64)  # called once a text with one and the same list
def _compiled(phrases: tuple[str, ...] | str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Phrases that have to be the whole text, and those that only have to open it (space at the end)."""
    if isinstance(phrases, str):
        raise TypeError(f"Expected `phrases` to be a sequence of strings but got the string {phrases!r}; wrap it")
    whole, openings = set(), []
    for phrase in phrases:
        check_text("phrases", phrase)
        words = plain_words(phrase)
        if not words:
            raise ValueError(f"Expected `phrases` to hold words but got {phrase!r}; silence declines without a phrase")
        if phrase.rstrip().endswith("*"):
            openings.append(f"{words} ")
        else:
            whole.add(words)
    return frozenset(whole), tuple(openings)
