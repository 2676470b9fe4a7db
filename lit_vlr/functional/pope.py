"""Yes/no questions about objects (POPE), with declining as a third outcome."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from lit_vlr.functional._text import check_rows, check_text
from lit_vlr.functional.declining import ABSTENTION_PHRASES, is_abstention, plain_words

_SENTENCE_END = re.compile(r"[.\n]")
_NEGATIONS = frozenset({"no", "not", "cannot"})


class YesNoScores(NamedTuple):
    """Scores of yes/no answers; "yes" is the positive class. All but the last are over the answered questions alone.

    Attributes:
        accuracy: (TP + TN) / answered.
        precision: TP / (TP + FP); NaN where no answer was yes.
        recall: TP / (TP + FN), over the questions *answered* whose label is yes; NaN where there are none.
        f1: 2 TP / (2 TP + FP + FN); NaN where neither an answer nor a label was yes.
        yes_ratio: answers that were yes / answered; of the predictions, not of the labels.
        abstention_rate: questions without an answer / all questions.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float
    abstention_rate: float


class YesNoCounts(NamedTuple):
    """How often what happened; enough to compute :class:`YesNoScores`, and counts of batches add up."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    abstained: int


def pope_scores(
    predictions: Sequence[str], labels: Sequence[str], abstention_phrases: Sequence[str] = ABSTENTION_PHRASES
) -> YesNoScores:
    r"""Accuracy, precision, recall, F1 and yes-ratio of what was answered, and how often nothing was.

    Each text is read by :func:`parse_yes_no`, which asks for an abstention first. The official script has no third
    outcome: whatever holds no "no" or "not" is a yes to it, silence and "unanswerable" included. Where every text
    begins with yes or no the two agree.

    Declining improves the scores over the answered, as it should, so they mean nothing without ``abstention_rate``.
    With declined questions counted as wrong, accuracy is ``accuracy * (1 - abstention_rate)``.

    Args:
        predictions: the generated answers, N of them.
        labels: "yes" or "no" in any case, N of them.
        abstention_phrases: see :func:`~lit_vlr.functional.is_abstention`.

    Returns:
        The scores; NaN where a denominator is 0, since neither 0 nor 1 would be true.

    Raises:
        TypeError: for what is no string.
        ValueError: for no or unequal rows, or a label other than yes and no.

    Reference:
        Li et al., "Evaluating Object Hallucination in Large Vision-Language Models", EMNLP 2023, Section 5.

    Example:
        >>> pope_scores(["Yes.", "Yes", "No, none.", "no", "maybe"], ["yes", "no", "no", "no", "yes"])
        YesNoScores(accuracy=0.75, precision=0.5, recall=1.0, f1=0.6666666666666666, yes_ratio=0.5, abstention_rate=0.2)
    """
    return scores_from_counts(count_yes_no(predictions, labels, abstention_phrases))


def parse_yes_no(text: str, abstention_phrases: Sequence[str] = ABSTENTION_PHRASES) -> Literal["yes", "no"] | None:
    """Whether a text says yes or no; None if it declines, or says neither or both.

    In this order, reading the first sentence only: an abstention is None; yes and no together are None; a text that
    begins with yes, or with no, is that; one with "no", "not", "n't" or "cannot" in it is no; one with "yes" in it, or
    that begins with "there is" or "there are", is yes; anything else is None.

    Deviations from the official script, for which everything without "no" or "not" is yes: None exists; "Yes, it does
    not hide" is yes; negations are found next to any punctuation and in contractions ("There isn't").

    >>> [parse_yes_no(text) for text in ("Yes, a dog.", "There isn't a dog", "There is a dog", "A dog", "unanswerable")]
    ['yes', 'no', 'yes', None, None]
    """
    check_text("text", text)
    if is_abstention(text, abstention_phrases):
        return None
    words = plain_words(_SENTENCE_END.split(text.strip(), maxsplit=1)[0]).split()
    yes, no = "yes" in words, "no" in words
    if yes and no:
        return None
    if yes and words[0] == "yes":
        return "yes"
    if not _NEGATIONS.isdisjoint(words):
        return "no"
    return "yes" if yes or words[:2] in (["there", "is"], ["there", "are"]) else None


def count_yes_no(
    predictions: Sequence[str], labels: Sequence[str], abstention_phrases: Sequence[str] = ABSTENTION_PHRASES
) -> YesNoCounts:
    """The outcomes of :func:`pope_scores`, counted."""
    check_rows("predictions", predictions, "labels", labels)
    outcomes: dict[tuple[str | None, str], int] = {}
    for index, (prediction, label) in enumerate(zip(predictions, labels, strict=True)):
        check_text("predictions", prediction)
        outcome = parse_yes_no(prediction, abstention_phrases), _truth(label, index)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return YesNoCounts(
        true_positive=outcomes.get(("yes", "yes"), 0),
        false_positive=outcomes.get(("yes", "no"), 0),
        true_negative=outcomes.get(("no", "no"), 0),
        false_negative=outcomes.get(("no", "yes"), 0),
        abstained=sum(n for (said, _), n in outcomes.items() if said is None),
    )


def scores_from_counts(counts: YesNoCounts) -> YesNoScores:
    """The ratios that :class:`YesNoScores` defines."""
    tp, fp, tn, fn, abstained = counts
    answered = tp + fp + tn + fn
    return YesNoScores(
        accuracy=_ratio(tp + tn, answered),
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        yes_ratio=_ratio(tp + fp, answered),
        abstention_rate=_ratio(abstained, answered + abstained),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _truth(label: str, index: int) -> str:
    check_text("labels", label)
    truth = label.strip().lower()
    if truth not in ("yes", "no"):
        raise ValueError(f"Expected `labels` to be yes or no but got {label!r} at index {index}; check the label file")
    return truth
