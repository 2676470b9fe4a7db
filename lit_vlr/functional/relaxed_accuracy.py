"""Relaxed accuracy of ChartQA: numbers within a tolerance, everything else word for word."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from lit_vlr.functional._text import check_references, check_text
from lit_vlr.functional._validation import check_number
from lit_vlr.functional.declining import ABSTENTION_PHRASES, is_abstention

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(%?)")
_ROUNDING = 1e-12  # 1.05 for 1 is 5% off, but 1.05 - 1 is a little more than .05 in binary


def relaxed_accuracy(
    prediction: str,
    answers: str | Sequence[str],
    tolerance: float = 0.05,
    abstention_phrases: Sequence[str] = ABSTENTION_PHRASES,
) -> float:
    r"""1 where an answer is right up to a relative tolerance, otherwise 0.

    .. math:: |p - a| \le \text{tolerance} \cdot |a|

    if both are numbers, otherwise equality of the texts, stripped and in lower case. The error is relative to the
    *reference*; scripts that swap the two refuse 95 for 100 and take 100 for 95.

    Conventions, as in the evaluation of Pix2Struct, which Qwen-VL uses: ``5%`` is the number 0.05, so "5" is wrong for
    "5%"; numbers with units or thousands separators ("$5", "1,000") are texts. **A year is a number like any other:
    1990 counts for 2020.** Pass ``tolerance=0`` for questions whose answer is a year.

    Deviations: spaces at the ends do not matter; the bound is met exactly in spite of binary rounding (1.05 for 1);
    for the reference 0 only 0 is right, in any spelling ("0.0", "0%"), where the original compares texts; "nan", "inf"
    and "1_000" are texts; a prediction that declines is wrong, even where "don't know" is a label in the chart
    (``abstention_phrases=()`` switches that off).

    Args:
        prediction: the generated answer.
        answers: the reference, or several of which any will do.
        tolerance: largest error relative to the reference, in [0, 1].
        abstention_phrases: see :func:`~lit_vlr.functional.is_abstention`.

    Returns:
        0.0 or 1.0.

    Raises:
        TypeError: if ``prediction`` or an answer is not a string.
        ValueError: for no or blank answers, or ``tolerance`` outside [0, 1].

    Reference:
        Masry et al., "ChartQA: A Benchmark for Question Answering about Charts with Visual and Logical Reasoning",
        Findings of ACL 2022, Section 5.1, after Methani et al., "PlotQA: Reasoning over Scientific Plots", WACV 2020.

    Example:
        >>> relaxed_accuracy("95", "100"), relaxed_accuracy("100", "95")
        (1.0, 0.0)
        >>> relaxed_accuracy("0.42", "41%"), relaxed_accuracy("Blue ", ["blue", "navy"])
        (1.0, 1.0)
        >>> relaxed_accuracy("1990", "2020"), relaxed_accuracy("1990", "2020", tolerance=0)
        (1.0, 0.0)
    """
    check_text("prediction", prediction)
    said = check_references("answers", answers)
    within = check_number("tolerance", tolerance, 0, 1, "give a fraction of the reference; 5% is 0.05")
    if is_abstention(prediction, abstention_phrases):
        return 0.0
    return float(any(_matches(prediction, answer, within) for answer in said))


def _matches(prediction: str, answer: str, tolerance: float) -> bool:
    given, wanted = _number(prediction), _number(answer)
    if given is not None and wanted is not None:
        return abs(given - wanted) <= (tolerance + _ROUNDING) * abs(wanted)
    return prediction.strip().lower() == answer.strip().lower()


def _number(text: str) -> float | None:
    """The number that the text is, as a fraction where it is a percentage; None where it is not finite or no number."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    number = float(match[1]) / (100 if match[2] else 1)
    return number if math.isfinite(number) else None
