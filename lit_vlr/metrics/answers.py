"""Shells over the scorers of one text against references; conventions are documented with the functions."""

from __future__ import annotations

from collections.abc import Sequence

from lit_vlr.functional import ABSTENTION_PHRASES, anls, exact_match, is_abstention, relaxed_accuracy
from lit_vlr.functional._validation import check_choice, check_number
from lit_vlr.functional.exact_match import ExactMatchNormalization
from lit_vlr.metrics._mean import AnswerMetric


class ANLS(AnswerMetric):
    """Average normalised Levenshtein similarity: :func:`~lit_vlr.functional.anls` as a metric.

    Args:
        threshold: the smallest similarity that scores.
        abstention_phrases: what counts as declining, and scores 0.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ANLS()
        >>> metric.update(["Jon Smith", "1987"], [["John Smith"], ["1978", "in 1978"]])
        >>> metric.compute()
        tensor(0.7000, dtype=torch.float64)
    """

    def __init__(
        self, threshold: float = 0.5, abstention_phrases: Sequence[str] = ABSTENTION_PHRASES, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = check_number("threshold", threshold, 0, 1, "DocVQA uses 0.5")
        self.abstention_phrases = check_phrases(abstention_phrases)

    def _score(self, prediction: str, answers: str | Sequence[str]) -> float:
        return anls(prediction, answers, self.threshold, self.abstention_phrases)


class RelaxedAccuracy(AnswerMetric):
    """Accuracy with a tolerance for numbers: :func:`~lit_vlr.functional.relaxed_accuracy` as a metric.

    Args:
        tolerance: largest error relative to the reference.
        abstention_phrases: what counts as declining, and scores 0.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = RelaxedAccuracy()
        >>> metric.update(["95", "94"], ["100", "100"])
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    def __init__(
        self, tolerance: float = 0.05, abstention_phrases: Sequence[str] = ABSTENTION_PHRASES, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.tolerance = check_number("tolerance", tolerance, 0, 1, "5% is 0.05")
        self.abstention_phrases = check_phrases(abstention_phrases)

    def _score(self, prediction: str, answers: str | Sequence[str]) -> float:
        return relaxed_accuracy(prediction, answers, self.tolerance, self.abstention_phrases)


class ExactMatch(AnswerMetric):
    """Share of exact matches: :func:`~lit_vlr.functional.exact_match` as a metric.

    Args:
        normalization: what is done to both texts before they are compared.
        abstention_phrases: what counts as declining, and scores 0.
        kwargs: for :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ExactMatch(normalization="letter")
        >>> metric.update(["(A) a dog", "The answer is C.", "I can't tell", "A dog"], ["A", "C", "I", "A"])
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    def __init__(
        self,
        normalization: ExactMatchNormalization = "lower",
        abstention_phrases: Sequence[str] = ABSTENTION_PHRASES,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("normalization", normalization, ExactMatchNormalization)
        self.normalization: ExactMatchNormalization = normalization
        self.abstention_phrases = check_phrases(abstention_phrases)

    def _score(self, prediction: str, answers: str | Sequence[str]) -> float:
        return exact_match(prediction, answers, self.normalization, self.abstention_phrases)


def check_phrases(phrases: Sequence[str]) -> tuple[str, ...]:
    """Refuse an unusable list when the metric is made, not after hours of generation."""
    is_abstention("", phrases)
    return tuple(phrases)
