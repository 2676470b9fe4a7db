"""What the calibrators share: a check of the split that they are fitted on, and their way to JSON and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.functional._validation import ArrayLike, check_confidence, check_correctness, check_same_length


class DegenerateCalibrationError(UserError):
    """A calibration split from which nothing can be learned."""


class Calibrator(ABC):
    """Maps a confidence to the accuracy to expect, and never reverses an order: thresholds keep their meaning.

    Fitted on the calibration split only, against *soft* accuracy. Where two confidences are mapped to one, their rows
    become ties.

    Attributes:
        kind: its name in JSON.
    """

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, confidence: ArrayLike, correctness: ArrayLike) -> Self:
        """Fit on a calibration split, columns of (N,)."""

    @abstractmethod
    def __call__(self, confidence: ArrayLike) -> Tensor:
        """Expected accuracy in [0, 1], float64, (N,)."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As JSON values, ``kind`` among them; `calibrator_from_dict` reads it back."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What :meth:`to_dict` wrote, checked."""


def check_split(confidence: ArrayLike, correctness: ArrayLike) -> tuple[Tensor, Tensor]:
    """The two columns of a calibration split, float64, (N,).

    Raises:
        DegenerateCalibrationError: for one sample, only right or only wrong ones, or a single confidence.
        ValueError: for malformed columns.
    """
    scores, accuracy = check_confidence(confidence), check_correctness(correctness)
    check_same_length("confidence", scores, "correctness", accuracy)
    if len(scores) < 2:
        raise DegenerateCalibrationError(
            "Expected a calibration split of several samples but got one; use a larger one"
        )
    for value, what in ((1.0, "right"), (0.0, "wrong")):
        if bool((accuracy == value).all()):
            raise DegenerateCalibrationError(
                f"Expected a calibration split with right and wrong answers but all {len(accuracy)} are {what}; "
                "nothing says how confidence and accuracy are related: use a larger split"
            )
    if bool((scores == scores[0]).all()):
        raise DegenerateCalibrationError(
            f"Expected different confidences but all {len(scores)} are {float(scores[0]):g}; is the score computed?"
        )
    return scores, accuracy


def check_increasing(slope: float, remedy: str, least: float = 0.0) -> None:
    """Refuse a fit that would turn the order around.

    Args:
        slope: of the fit.
        remedy: appended to the message.
        least: what is rounding and no slope.

    Raises:
        DegenerateCalibrationError: if the slope is not larger than ``least``.
    """
    if not slope > least:
        raise DegenerateCalibrationError(
            f"Expected accuracy to rise with confidence but the best slope is {slope:.3g}, which would lose or "
            f"reverse the order; {remedy}"
        )


def as_float64(values: list[float]) -> Tensor:
    """A vector, (N,)."""
    return torch.tensor(values, dtype=torch.float64)


def rising(scores: Tensor, curve: Callable[[Tensor], Tensor]) -> Tensor:
    """A rising curve at each score, ties kept and order never reversed to the last bit, (N,).

    The same function gives the same number different last bits in the vectorised part of a tensor and in its rest, so
    equal scores are computed once, and rounding may not let a lower one end above a higher.

    Args:
        scores: (N,).
        curve: takes and gives (K,), elementwise and rising.
    """
    levels, place = torch.unique(scores, sorted=True, return_inverse=True)
    return curve(levels).cummax(0).values[place]
