"""What answers are worth by their words: every accuracy of the field that the references allow, confidence aside.

Each is a ratio of two sums over rows, so that the bootstrap can weigh rows as it does for the selective metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from lit_vlr.functional import cider, is_abstention, parse_yes_no
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.vqa_accuracy import LeaveOneOut
from lit_vlr.scoring.accuracy import Accuracy, AccuracyName, suits
from lit_vlr.scoring.annotations import Reference

Floats: TypeAlias = npt.NDArray[np.float64]


class Ratio(NamedTuple):
    """A score as the ratio of two weighted sums over rows.

    Attributes:
        numerator: (N,).
        denominator: (N,); ones for a mean over all rows.
    """

    numerator: Floats
    denominator: Floats

    def rows(self, chosen: npt.NDArray[np.int64]) -> Ratio:
        """Of some of the rows, or all in another order."""
        return Ratio(self.numerator[chosen], self.denominator[chosen])

    def under(self, weights: npt.NDArray[np.float64]) -> Floats:
        """Under R weightings of the rows (R, N), (R,); NaN where the denominator is 0."""
        above, below = weights @ self.numerator, weights @ self.denominator
        value: Floats = np.divide(above, below, out=np.full(len(weights), np.nan), where=below > 0)
        return value


HIGHER_IS_BETTER: dict[str, bool | None] = {
    **{f"vqa_accuracy@{dialect}": True for dialect in get_args(VQADialect)},
    **dict.fromkeys(("exact_match", "option_letter", "anls", "relaxed_accuracy", "box_iou_accuracy"), True),
    **dict.fromkeys(("yes_no_accuracy", "yes_no_precision", "yes_no_recall", "yes_no_f1"), True),
    "yes_no_yes_ratio": None,
    "yes_no_abstention_rate": None,
    "cider": True,
    "declined_in_words": None,
}
"""Direction of each score by name, in the order in which they are shown; None where neither end is better."""


def word_scores(
    texts: Sequence[str],
    references: Sequence[Reference],
    leave_one_out: LeaveOneOut = "index",
    *,
    captions: bool = False,
) -> dict[str, Ratio]:
    """Every score of answers by their words that all references allow.

    VQA accuracy is there in each dialect, for sets of at least two annotators; the yes/no scores of POPE where every
    question is one, with answers that say neither counted as abstentions before anything else; the share of boxes that
    overlap by half where every reference is a box.

    Args:
        texts: the answers, N of them.
        references: what is right, N of them.
        leave_one_out: of VQA accuracy.
        captions: CIDEr-D of the answers as captions, each row a picture of its own; needs ``lit-vlr[caption]``.

    Returns:
        Scores by name, in the order of `HIGHER_IS_BETTER`.

    Raises:
        ImportError: for captions without the package that scores them.
        ValueError: for captions with fewer than two rows or blank references.
    """
    found: dict[str, Ratio] = {}
    if _all_suit("vqa_accuracy", references):
        for dialect in get_args(VQADialect):
            rule = Accuracy("vqa_accuracy", dialect, leave_one_out)
            found[f"vqa_accuracy@{dialect}"] = _mean(rule, texts, references)
    names: dict[str, AccuracyName] = {
        "exact_match": "exact_match",
        "option_letter": "option_letter",
        "anls": "anls",
        "relaxed_accuracy": "relaxed_accuracy",
        "box_iou_accuracy": "box_iou",
    }
    for shown, name in names.items():
        if _all_suit(name, references):
            found[shown] = _mean(Accuracy(name), texts, references)
    if _all_suit("yes_no", references):
        found |= _yes_no(texts, [reference.answers[0].strip().lower() for reference in references])
    if captions:
        found["cider"] = _cider(texts, references)
    found["declined_in_words"] = _over_all([float(is_abstention(text)) for text in texts])
    return {name: found[name] for name in HIGHER_IS_BETTER if name in found}


def _all_suit(name: AccuracyName, references: Sequence[Reference]) -> bool:
    return all(suits(name, reference) for reference in references)


def _mean(rule: Callable[[str, Reference], float], texts: Sequence[str], references: Sequence[Reference]) -> Ratio:
    # An answer is scored in a tenth of a millisecond, and VizWiz has 4,319 of them: no need to be clever.
    return _over_all([rule(text, reference) for text, reference in zip(texts, references, strict=True)])


def _over_all(values: Sequence[float]) -> Ratio:
    return Ratio(np.array(values, dtype=np.float64), np.ones(len(values)))


def _yes_no(texts: Sequence[str], labels: Sequence[str]) -> dict[str, Ratio]:
    """The scores of :func:`~lit_vlr.functional.pope_scores`."""
    said, right = np.array([parse_yes_no(text) or "" for text in texts]), np.array(labels)
    answered, positive, negative = said != "", said == "yes", said == "no"
    true_positive, true_negative = positive & (right == "yes"), negative & (right == "no")
    false_positive, false_negative = positive & (right == "no"), negative & (right == "yes")

    def ratio(numerator: npt.NDArray[np.bool_], *denominator: npt.NDArray[np.bool_], times: int = 1) -> Ratio:
        return Ratio(times * numerator.astype(np.float64), np.sum(np.stack(denominator), axis=0, dtype=np.float64))

    return {
        "yes_no_accuracy": ratio(true_positive | true_negative, answered),
        "yes_no_precision": ratio(true_positive, positive),
        "yes_no_recall": ratio(true_positive, answered & (right == "yes")),
        "yes_no_f1": ratio(true_positive, true_positive, true_positive, false_positive, false_negative, times=2),
        "yes_no_yes_ratio": ratio(positive, answered),
        "yes_no_abstention_rate": ratio(~answered, np.ones_like(answered)),
    }


def _cider(texts: Sequence[str], references: Sequence[Reference]) -> Ratio:
    """Of the whole set at once: a word is telling if few of *these* references use it, and no resample changes that."""
    ids = [str(row) for row in range(len(texts))]
    people = {uid: reference.answers for uid, reference in zip(ids, references, strict=True)}
    scores = cider(dict(zip(ids, texts, strict=True)), people).per_image
    return _over_all([scores[uid] for uid in ids])
