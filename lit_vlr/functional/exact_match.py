"""Exact match after a named normalisation: GQA, AI2D, OCR-VQA, and the option letters of ScienceQA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from lit_vlr.functional._text import check_references, check_text
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import normalize
from lit_vlr.functional.declining import ABSTENTION_PHRASES, is_abstention

ExactMatchNormalization: TypeAlias = Literal["none", "lower", "gqa", "vqa", "evalai", "letter"]
"""What is done to both texts before they are compared; see :func:`exact_match`."""

# A letter and the end of its line, or a mark that an option has and an article has not: "A.", "A)", "(A) a dog", but
# not "A dog".
_OPTION = re.compile(r"(?:\(([A-Z])\)|([A-Z])(?=[.):]|\s*$))", re.MULTILINE)
# Only A and I are words. The other letters may be followed by words, but choose nothing in "X-ray" and "B's".
_LETTER = r"(?:[AI](?=[).,:;]|\s*$)|[B-HJ-Z](?![\w'’-]))"
_OR_ANOTHER = rf"\)?,?\s*(?:or|and|/|&)\s*\(?{_LETTER}"
_STATED = re.compile(rf"\banswer(?: is|:)\s*:?\s*\(?({_LETTER})(?!{_OR_ANOTHER})", re.MULTILINE)


def exact_match(
    prediction: str,
    answers: str | Sequence[str],
    normalization: ExactMatchNormalization = "lower",
    abstention_phrases: Sequence[str] = ABSTENTION_PHRASES,
) -> float:
    """1 where the answer equals a reference after normalisation, otherwise 0.

    ========== ================================ ======================================================================
    ``none``   the official GQA script          texts as they are
    ``lower``  AI2D, OCR-VQA                    stripped, lower case
    ``gqa``    GQA as LLaVA converts it         ``lower``, and periods at the end dropped
    ``vqa``    single-answer VQA sets           :func:`~lit_vlr.functional.normalize_vqa_answer`
    ``evalai`` TextVQA references, one by one   the same in its ``evalai`` dialect
    ``letter`` ScienceQA, A-OKVQA, SEED         the option letter, :func:`option_letter`
    ========== ================================ ======================================================================

    TextVQA's own figure is the soft accuracy over ten annotators: :func:`~lit_vlr.functional.vqa_accuracy`.

    A prediction that declines scores 0, whatever the references say, and so does one in which no letter is found.

    Args:
        prediction: the generated answer.
        answers: the reference, or several of which any will do.
        normalization: one of the above.
        abstention_phrases: see :func:`~lit_vlr.functional.is_abstention`.

    Returns:
        0.0 or 1.0.

    Raises:
        TypeError: if ``prediction`` or an answer is not a string.
        ValueError: for no or blank answers, an unknown normalisation, or a reference that is no option letter.

    Reference:
        Hudson and Manning, "GQA: A New Dataset for Real-World Visual Reasoning", CVPR 2019; Lu et al., "Learn to
        Explain: Multimodal Reasoning via Thought Chains for Science Question Answering", NeurIPS 2022.

    Example:
        >>> exact_match("Dog ", ["dog", "puppy"]), exact_match("A dog.", "dog"), exact_match("A dog.", "dog", "vqa")
        (1.0, 0.0, 1.0)
        >>> exact_match("The answer is (B).", "B", "letter"), exact_match("A dog", "A", "letter")
        (1.0, 0.0)
    """
    check_choice("normalization", normalization, ExactMatchNormalization)
    check_text("prediction", prediction)
    said = check_references("answers", answers)
    wanted = [_normalized(answer, normalization) for answer in said]
    if None in wanted:
        raise ValueError(
            f"Expected `answers` to be option letters but got {said[wanted.index(None)]!r}; give the letter of the "
            "right option, or compare the texts with another normalization"
        )
    if is_abstention(prediction, abstention_phrases):
        return 0.0
    return float(_normalized(prediction, normalization) in wanted)


def option_letter(text: str) -> str | None:
    """The option, A to Z, that a text chooses; None if it chooses none, or more than one.

    A single letter in either case; a capital at the beginning in parentheses, before ``. ) :`` or alone on its line; or
    a capital after "answer is" or "answer:" in lower case, if all such places name the same one. A and I may be words:
    there they need a mark or the end of the line. Ask :func:`~lit_vlr.functional.is_abstention` first.

    The script of ScienceQA differs in that it takes the capital of *any* word after "The answer is" (option A from "The
    answer is Africa"), and chooses an option at random where it finds none.

    >>> [option_letter(text) for text in ("b", "(C) a dog", "D. because", "So the answer is A.", "A dog", "Africa")]
    ['B', 'C', 'D', 'A', None, None]
    >>> [option_letter(f"The answer is {text}") for text in ("B because it is red", "A dog", "B or C")]
    ['B', None, None]
    """
    check_text("text", text)
    text = text.strip()
    if len(text) == 1 and text.isascii() and text.isalpha():
        return text.upper()
    opening = _OPTION.match(text)
    if opening is not None:
        return opening[1] or opening[2]
    stated = set(_STATED.findall(text))
    return stated.pop() if len(stated) == 1 else None


def _normalized(text: str, normalization: ExactMatchNormalization) -> str | None:
    if normalization == "letter":
        return option_letter(text)
    if normalization == "vqa":
        return normalize(text, "no_skip")
    if normalization == "evalai":
        return normalize(text, "evalai")
    if normalization == "none":
        return text
    text = text.strip().lower()
    return text.rstrip(". ") if normalization == "gqa" else text
