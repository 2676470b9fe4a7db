"""Right or wrong by comparing words, numbers or option letters."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

from lit_vlr.functional import anls, exact_match, is_abstention, option_letter, relaxed_accuracy
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.exact_match import ExactMatchNormalization
from lit_vlr.tasks.base import PerAnswer
from lit_vlr.types import Sample


@dataclass(frozen=True)
class ExactMatch(PerAnswer):
    """`lit_vlr.functional.exact_match`: GQA, AI2D, OCR-VQA."""

    normalization: ExactMatchNormalization = "lower"
    name = "exact_match"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0 or 1."""
        return exact_match(answer, sample.answers, self.normalization)


@dataclass(frozen=True)
class ANLS(PerAnswer):
    """`lit_vlr.functional.anls`: DocVQA."""

    threshold: float = 0.5
    name = "anls"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0, or at least the threshold."""
        return anls(answer, sample.answers, self.threshold)


@dataclass(frozen=True)
class RelaxedAccuracy(PerAnswer):
    """`lit_vlr.functional.relaxed_accuracy`: ChartQA."""

    tolerance: float = 0.05
    name = "relaxed_accuracy"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0 or 1."""
        return relaxed_accuracy(answer, sample.answers, self.tolerance)


@dataclass(frozen=True)
class OptionChoice(PerAnswer):
    """Multiple choice: A-OKVQA, ScienceQA, SEED, AI2D.

    An answer chooses an option by its letter (`lit_vlr.functional.option_letter`) or by its text, case and a final
    period aside.

    Args:
        by: ``words`` reads what was generated. ``likelihood`` makes the model answer with the letter of the lowest
            cross-entropy, as the published figures of ScienceQA and SEED do; see `lit_vlr.options`.
    """

    by: Literal["words", "likelihood"] = "words"
    name = "option_accuracy"

    def worth(self, answer: str, sample: Sample, dialect: VQADialect) -> float:
        """0 or 1."""
        return float(chosen_option(answer, sample.choices) in sample.answers)


def chosen_option(answer: str, choices: tuple[str, ...]) -> str | None:
    """The letter of the option that a text names; None where it names none.

    >>> chosen_option("(B)", ("red", "blue")), chosen_option("Blue.", ("red", "blue")), chosen_option("C", ("red",))
    ('B', 'B', None)
    >>> chosen_option("A", ("C", "A"))
    'A'
    """
    said = answer.strip().rstrip(".").lower()
    letter = option_letter(answer)
    known = letter if letter is not None and letter in ascii_uppercase[: len(choices)] else None
    if len(said) == 1 and known is not None:  # before texts: AI2D has options that are letters, in another order
        return known
    named = [letter for letter, text in zip(ascii_uppercase, choices, strict=False) if text.strip().lower() == said]
    if len(named) == 1:  # before abstention: "unknown" can be an option
        return named[0]
    return None if is_abstention(answer) else known
