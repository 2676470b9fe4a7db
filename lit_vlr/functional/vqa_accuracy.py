"""Soft VQA accuracy, in the dialects that published numbers were computed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from lit_vlr.functional._text import check_text
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import VQADialect, normalize, plain_spaces, strip_punctuation

LeaveOneOut: TypeAlias = Literal["index", "value"]
"""How the annotator under comparison is left out; see :func:`vqa_accuracy`."""


def normalize_vqa_answer(text: str, dialect: VQADialect = "no_skip") -> str:
    r"""Normalise an answer as the official VQA evaluation normalises a prediction.

    In this order: newlines and tabs to spaces; punctuation deleted or blanked out; periods not followed by a digit
    deleted; lowercase; number words zero to ten (and none) to digits; articles dropped; missing apostrophes of common
    contractions restored. ``evalai`` lowercases first, deletes commas and question marks, and splits off ``'s``.

    Convention: digits are ASCII digits. ``official``, ``pre2021`` and ``no_skip`` normalise one text alike; they
    differ in *which* texts they normalise, see :func:`vqa_accuracy`.

    Args:
        text: the answer.
        dialect: ``no_skip``, ``official``, ``pre2021`` or ``evalai``.

    Returns:
        The normalised text; empty if nothing but punctuation and articles was there.

    Raises:
        TypeError: if ``text`` is not a string.
        ValueError: for an unknown dialect.

    Reference:
        Antol et al., "VQA: Visual Question Answering", ICCV 2015, Section 3, and https://visualqa.org/evaluation.html.

    Example:
        >>> normalize_vqa_answer("The t-shirt costs 1,000 dollars.")
        'tshirt costs 1000 dollars'
        >>> normalize_vqa_answer("Two dogs, dont touch!"), normalize_vqa_answer("man's", dialect="evalai")
        ("2 dogs don't touch", "man 's")
    """
    check_choice("dialect", dialect, VQADialect)
    check_text("text", text)
    return normalize(text, dialect)


def vqa_accuracy(
    prediction: str,
    answers: Sequence[str],
    dialect: VQADialect = "no_skip",
    leave_one_out: LeaveOneOut = "index",
    answer_confidences: Sequence[str] | None = None,
) -> float:
    r"""Soft accuracy of one answer against what n annotators said, in [0, 1].

    .. math:: \frac1n \sum_{i=1}^{n} \min\left(1, \frac{|\{j \ne i : \text{answer}_j = \text{prediction}\}|}{3}\right)

    With ten annotators 0, 1, 2, 3 and 4 or more matches give 0, .3, .6, .9 and 1.

    Dialects, by who uses them and what is normalised (:func:`normalize_vqa_answer`):

    ============ ============================= ========================================================================
    ``no_skip``  our default; lmms-eval VQAv2  prediction and answers, always
    ``official`` the VQA repository since 2021 both, but *neither* where all answers are the same string
    ``pre2021``  Qwen-VL, LAVIS                prediction always; answers their punctuation only, and not where all are
                                               the same string
    ``evalai``   LLaVA, MMF                    both, always, in its own way
    ============ ============================= ========================================================================

    Leaving one out: ``index`` leaves out the annotator, which is what the formula says. ``value`` is what the official
    script does to answers without ``answer_id``, such as those of VizWiz: it leaves out every record *equal* to the
    annotator's, so that duplicates vanish together and agreement is punished. A record is the normalised answer and,
    where the file has one, its ``answer_confidence``: pass it, or the two scores differ. Use ``value`` to reproduce a
    number, never to report one.

    Args:
        prediction: the generated answer. Here "unanswerable" is a word like any other, as in the published figures
            of VizWiz; where an abstention must not score, ask :func:`~lit_vlr.functional.is_abstention` before.
        answers: what the annotators said, at least two.
        dialect: whose normalisation; record it with every result.
        leave_one_out: ``index`` or ``value``.
        answer_confidences: one a answer, read with ``leave_one_out="value"`` only.

    Returns:
        The accuracy; a multiple of 1/(3n), divided once.

    Raises:
        TypeError: if ``prediction`` or an answer is not a string, or ``answers`` is one string.
        ValueError: for fewer than two answers, which leaves nobody to agree with, an unknown dialect, or
            ``answer_confidences`` of another length.

    Reference:
        Antol et al., "VQA: Visual Question Answering", ICCV 2015, Section 3 for the accuracy, and
        https://visualqa.org/evaluation.html for leaving one out.

    Example:
        >>> vqa_accuracy("Two.", ["two", "2", "three"] + ["four"] * 7)
        0.6
        >>> vqa_accuracy("red", ["red"] * 4 + ["blue"] * 6)
        1.0
        >>> vqa_accuracy("red", ["red"] * 4 + ["blue"] * 6, leave_one_out="value")
        0.6
    """
    check_choice("dialect", dialect, VQADialect)
    check_choice("leave_one_out", leave_one_out, LeaveOneOut)
    check_text("prediction", prediction)
    _check_answers(answers, answer_confidences)

    given, said = _normalize_pair(prediction, answers, dialect)
    matches = sum(answer == given for answer in said)
    records = _records(said, leave_one_out, answer_confidences)
    # Leaving a record out takes its own matches along: one by index, every duplicate by value.
    gone = {record: 0 for record in records}
    for answer, record in zip(said, records, strict=True):
        gone[record] += answer == given
    thirds = sum(min(3, matches - gone[record]) for record in records)
    return thirds / (3 * len(said))


def _normalize_pair(prediction: str, answers: Sequence[str], dialect: VQADialect) -> tuple[str, list[str]]:
    """Prediction and answers in the form in which the dialect compares them."""
    if dialect == "pre2021":
        unanimous = len(set(answers)) == 1
        return normalize(prediction, dialect), [a if unanimous else strip_punctuation(a) for a in answers]
    if dialect == "official":
        trimmed = [plain_spaces(answer) for answer in answers]
        if len(set(trimmed)) == 1:
            return plain_spaces(prediction), trimmed
    return normalize(prediction, dialect), [normalize(answer, dialect) for answer in answers]


def _records(said: list[str], leave_one_out: LeaveOneOut, confidences: Sequence[str] | None) -> Sequence[object]:
    """What identifies an annotator when left out: the place in the list, or what was said."""
    if leave_one_out == "index":
        return range(len(said))
    return said if confidences is None else list(zip(said, confidences, strict=True))


def _check_answers(answers: Sequence[str], confidences: Sequence[str] | None) -> None:
    if isinstance(answers, str):
        raise TypeError(f"Expected `answers` to be a sequence of strings but got the string {answers!r}; wrap it")
    for answer in answers:
        check_text("answers", answer)
    if len(answers) < 2:
        raise ValueError(
            f"Expected `answers` of at least two annotators but got {len(answers)}; leaving one out leaves nobody to "
            "agree with: use exact match for single-answer sets"
        )
    if confidences is not None and len(confidences) != len(answers):
        raise ValueError(
            f"Expected `answer_confidences` of the length of `answers`, {len(answers)}, but got {len(confidences)}; "
            "pass one per annotator"
        )
