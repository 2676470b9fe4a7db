"""Text normalisation of the official VQA evaluation, in its dialects.

The steps follow the description at https://visualqa.org/evaluation.html and the behaviour of the public scripts,
including what looks like mistakes: a score is comparable only if the mistakes are the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

VQADialect: TypeAlias = Literal["no_skip", "official", "evalai", "pre2021"]
"""Who normalises what; see :func:`lit_vlr.functional.vqa_accuracy`."""

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
# ASCII digits only, as in the Python 2 of the original: "٣,٤" holds no digit-comma-digit.
_DIGIT_COMMA_DIGIT = re.compile(r"[0-9],[0-9]")
_PERIOD_BEFORE_NO_DIGIT = re.compile(r"\.(?![0-9])")
# The original passes a regex flag, whose value is 32, in the place of the number of replacements.
_MOST_PERIODS = 32

_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {"none": "0"} | {word: str(digit) for digit, word in enumerate(_DIGIT_WORDS)}
_ARTICLES = frozenset({"a", "an", "the"})

# A contraction is recognised when exactly one of its apostrophes is missing. Left out: entries of the original that
# change nothing (let's, she's), and those with a capital I, which never match a lowercased word; so "im" stays "im".
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
""".split()


def _without_one_apostrophe(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i, character in enumerate(word) if character == "'"]


_RESTORED = {short: word for word in _CONTRACTIONS for short in _without_one_apostrophe(word)}
_RESTORED["somebody'd"] = "somebodyd"  # the wrong way round in the original, so wrong here


@lru_cache(maxsize=1 << 16)  # a data set repeats few answers many times
def normalize(text: str, dialect: VQADialect) -> str:
    """Full normalisation, as applied to a prediction."""
    if dialect == "evalai":
        text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return _normalize_words(strip_punctuation(plain_spaces(text)))


def plain_spaces(text: str) -> str:
    """Newlines and tabs to spaces, ends stripped."""
    return text.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(maxsize=1 << 16)
def strip_punctuation(text: str) -> str:
    """Delete or blank out each punctuation mark, then delete periods that no digit follows.

    A mark is deleted wherever it occurs if it touches a space *anywhere* in the text, and every mark is deleted if the
    text holds a number with a comma anywhere; otherwise it becomes a space.
    """
    has_comma_number = _DIGIT_COMMA_DIGIT.search(text) is not None
    cleaned = text
    for mark in _PUNCTUATION:
        delete = has_comma_number or f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if delete else " ")
    return _PERIOD_BEFORE_NO_DIGIT.sub("", cleaned, count=_MOST_PERIODS)


def _normalize_words(text: str) -> str:
    """Lowercase, number words to digits, no articles, apostrophes restored, single spaces."""
    words = (_NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(_RESTORED.get(word, word) for word in words if word not in _ARTICLES)
