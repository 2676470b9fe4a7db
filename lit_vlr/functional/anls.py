"""Average normalised Levenshtein similarity, the score of DocVQA."""

from __future__ import annotations

from collections.abc import Sequence

from lit_vlr.functional._text import check_references, check_text
from lit_vlr.functional._validation import check_number
from lit_vlr.functional.declining import ABSTENTION_PHRASES, is_abstention


def anls(
    prediction: str,
    answers: str | Sequence[str],
    threshold: float = 0.5,
    abstention_phrases: Sequence[str] = ABSTENTION_PHRASES,
) -> float:
    r"""Similarity of one answer to the nearest reference, 0 where it is below a threshold; in [0, 1].

    .. math:: s = \max_j \left(1 - \frac{\text{lev}(p, a_j)}{\max(|p|, |a_j|)}\right), \qquad
        \text{ANLS} = s\,[s \ge \tau]

    Both texts are lowercased and their spaces collapsed. The average over questions is left to the caller or to
    :class:`lit_vlr.metrics.ANLS`.

    Conventions: at exactly :math:`s = \tau` the answer scores :math:`\tau`, as in the official evaluation; the paper's
    equation gives 0 there. Lengths are those of the texts that are compared, while the official evaluation divides by
    the length before spaces are collapsed, so that padding an answer with spaces raises its score. A prediction that
    declines scores 0 even if it resembles a reference ("unanswerable" and "answerable" are .83 alike).

    Args:
        prediction: the generated answer.
        answers: the reference, or several of which the nearest counts.
        threshold: the smallest similarity that scores, in [0, 1].
        abstention_phrases: see :func:`~lit_vlr.functional.is_abstention`.

    Returns:
        0, or a number in [threshold, 1].

    Raises:
        TypeError: if ``prediction`` or an answer is not a string.
        ValueError: for no or blank answers, or ``threshold`` outside [0, 1].

    Reference:
        Biten et al., "Scene Text Visual Question Answering", ICCV 2019, Equation 1; Mathew et al.,
        "DocVQA: A Dataset for VQA on Document Images", WACV 2021.

    Example:
        >>> anls("Jon Smith", ["John Smith", "J. Smith"])
        0.9
        >>> anls("ab", "ac"), anls("ab", "cd")
        (0.5, 0.0)
    """
    check_text("prediction", prediction)
    said = check_references("answers", answers)
    floor = check_number("threshold", threshold, 0, 1, "give the smallest similarity that scores; DocVQA uses 0.5")
    if is_abstention(prediction, abstention_phrases):
        return 0.0
    given = _collapsed(prediction)
    best = max(_similarity(given, _collapsed(answer), floor) for answer in said)
    return best if best >= floor else 0.0


def _collapsed(text: str) -> str:
    return " ".join(text.lower().split())


def _similarity(one: str, other: str, floor: float) -> float:
    """1 - distance / length; 0 where the lengths alone keep it below ``floor``, which spares runaway generations."""
    length = max(len(one), len(other))
    if min(len(one), len(other)) / length < floor:
        return 0.0
    return (length - levenshtein(one, other)) / length


def levenshtein(one: str, other: str) -> int:
    """Fewest insertions, deletions and substitutions of characters between two texts.

    Exact, unlike the beam of ``torchmetrics.text.EditDistance``, which is too large for texts of very unequal length.

    >>> levenshtein("kitten", "sitting")
    3
    """
    row = list(range(len(other) + 1))
    for i, character in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, target in enumerate(other, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (character != target))
    return row[-1]
