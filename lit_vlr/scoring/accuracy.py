"""What one answer is worth: the accuracies of the field by name, as `lit-vlr score` and `calibrate` offer them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lit_vlr.functional import anls, box_iou, exact_match, option_letter, parse_yes_no, relaxed_accuracy, vqa_accuracy
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.vqa_accuracy import LeaveOneOut
from lit_vlr.scoring.annotations import Reference

AccuracyName: TypeAlias = Literal[
    "vqa_accuracy", "exact_match", "option_letter", "anls", "relaxed_accuracy", "box_iou", "yes_no"
]
"""By whose rule an answer is right: VQA; GQA, AI2D and OCR-VQA; ScienceQA; DocVQA; ChartQA; RefCOCO; POPE."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_IOU = 0.5


@dataclass(frozen=True)
class Accuracy:
    """A rule by which answers are right.

    Attributes:
        name: of the rule.
        dialect: of VQA accuracy.
        leave_one_out: of VQA accuracy.
    """

    name: AccuracyName = "vqa_accuracy"
    dialect: VQADialect = "no_skip"
    leave_one_out: LeaveOneOut = "index"

    def __call__(self, text: str, reference: Reference) -> float:
        """Soft accuracy in [0, 1] of an answer.

        Raises:
            ValueError: if the reference is of another kind: a box, a letter, yes or no, or two annotators at least.
        """
        if self.name == "vqa_accuracy":
            confidences = reference.answer_confidences
            return vqa_accuracy(text, reference.answers, self.dialect, self.leave_one_out, confidences)
        return _RULES[self.name](text, reference.answers)

    def declines(self, text: str) -> bool:
        """Whether an answer is none: where only yes and no are right, everything else declines."""
        return self.name == "yes_no" and parse_yes_no(text) is None

    def describe(self) -> dict[str, str]:
        """For the record."""
        if self.name != "vqa_accuracy":
            return {"accuracy": self.name}
        return {"accuracy": self.name, "dialect": self.dialect, "leave one out": self.leave_one_out}


def parse_box(text: str) -> tuple[float, float, float, float] | None:
    """The box that a text names; None unless it holds exactly four numbers.

    >>> parse_box("<box>(3,4),(50.5,60)</box>"), parse_box("[1, 2, 3]")
    ((3.0, 4.0, 50.5, 60.0), None)
    """
    found = [float(number) for number in _NUMBER.findall(text)]
    return (found[0], found[1], found[2], found[3]) if len(found) == 4 else None


def is_yes_no(answers: tuple[str, ...]) -> bool:
    """Whether a reference says yes or no, and nothing else.

    >>> is_yes_no(("Yes",)), is_yes_no(("yes", "no"))
    (True, False)
    """
    return {answer.strip().lower() for answer in answers} in ({"yes"}, {"no"})


def _overlaps(text: str, answers: tuple[str, ...]) -> float:
    target = parse_box(answers[0])
    if target is None:
        raise ValueError(f"Expected a box of four numbers as the right answer but got {answers[0]!r}")
    return float(float(box_iou([parse_box(text) or (0.0, 0.0, 0.0, 0.0)], [target])) >= _IOU)


def _says(text: str, answers: tuple[str, ...]) -> float:
    if not is_yes_no(answers):
        raise ValueError(f"Expected yes or no as the right answer but got {sorted(set(answers))[:3]}")
    return float(parse_yes_no(text) == answers[0].strip().lower())


def _chooses(text: str, answers: tuple[str, ...]) -> float:
    return exact_match(text, answers, "letter")


_RULES: dict[AccuracyName, Callable[[str, tuple[str, ...]], float]] = {
    "exact_match": exact_match,
    "option_letter": _chooses,
    "anls": anls,
    "relaxed_accuracy": relaxed_accuracy,
    "box_iou": _overlaps,
    "yes_no": _says,
}


def suits(name: AccuracyName, reference: Reference) -> bool:
    """Whether an accuracy means anything for a reference."""
    answers = reference.answers
    if not all(answer.strip() for answer in answers):
        return name == "vqa_accuracy" and len(answers) > 1
    match name:
        case "vqa_accuracy":
            return len(answers) > 1
        case "box_iou":
            return parse_box(answers[0]) is not None
        case "option_letter":
            return option_letter(answers[0]) is not None and len(set(answers)) == 1
        case "yes_no":
            return is_yes_no(answers)
    return True
