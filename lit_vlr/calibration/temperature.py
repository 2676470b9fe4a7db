"""Temperature scaling of a probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from scipy.optimize import brentq
from torch import Tensor

from lit_vlr.calibration.base import Calibrator, DegenerateCalibrationError, check_increasing, check_split, rising
from lit_vlr.functional._validation import ArrayLike, check_choice, check_confidence, check_number

ScoreKind = Literal["probability", "log_probability"]
_LIMIT = 37.0  # where float64 rounds a probability to 0 or 1: a wrong answer at probability 1 costs this, not infinity
_MAX_SLOPE = 1e6
_ROUNDING = 1e-9


@dataclass(frozen=True)
class TemperatureScaling(Calibrator):
    r"""One number that makes a probability bolder or more timid, without moving .5.

    .. math:: \hat a = \sigma\left(\frac{\text{logit}(p)}{T}\right)

    T minimises the cross-entropy with the soft accuracy. Guo et al. divide the logits of all classes; a generated
    answer has one number, its probability, so its own logit is divided. Since .5 stays .5, a score that is small
    throughout, such as the probability of a long answer, is served better by :class:`PlattScaling`.

    Attributes:
        temperature: T > 0; above 1 the scores were too bold.
        score: whether confidences are probabilities in [0, 1] or their logarithms, which do not underflow.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Section 4.2.

    Example:
        >>> scaling = TemperatureScaling.fit([0.99, 0.99, 0.99, 0.01], [1.0, 1.0, 0.0, 0.0])
        >>> round(scaling.temperature, 3)
        4.183
        >>> calibrated = scaling([0.99, 0.5])
        >>> [round(float(a), 3) for a in calibrated]
        [0.75, 0.5]
    """

    temperature: float
    score: ScoreKind = "probability"
    kind: ClassVar[str] = "temperature"

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0, math.inf, "1 changes nothing", low_open=True)
        check_choice("score", self.score, ScoreKind)

    @classmethod
    def fit(cls, confidence: ArrayLike, correctness: ArrayLike, score: ScoreKind = "probability") -> Self:
        """Fit T.

        Args:
            confidence: probabilities, or log-probabilities, (N,).
            correctness: soft accuracies in [0, 1], (N,).
            score: which of the two.

        Raises:
            DegenerateCalibrationError: for a split of `check_split`, or where no finite T > 0 is best: accuracy falls
                with confidence, or all above .5 are right and all below wrong.
            ValueError: for malformed columns, or scores outside the range of ``score``.
        """
        scores, accuracy = check_split(confidence, correctness)
        logit = _logit(scores, score).clamp(-_LIMIT, _LIMIT)

        def gradient(slope: float) -> float:
            return float((logit * (torch.sigmoid(slope * logit) - accuracy)).sum())

        # Convex in the slope 1/T: its gradient rises, and has its zero above 0 if it is negative there.
        remedy = "use PlattScaling or IsotonicCalibration, which can move .5"
        check_increasing(-gradient(0.0), remedy, _ROUNDING)
        high = 1.0
        while gradient(high) <= 0:
            high *= 2
            if high > _MAX_SLOPE:
                raise DegenerateCalibrationError(
                    "Expected right and wrong answers to overlap but all above .5 are right and all below wrong, so "
                    f"ever smaller temperatures fit better; {remedy}, or a larger split"
                )
        return cls(1 / brentq(gradient, 0.0, high, xtol=1e-14), score)

    def __call__(self, confidence: ArrayLike) -> Tensor:
        """Expected accuracy, (N,)."""
        scores = check_confidence(confidence)
        return rising(scores, lambda s: torch.sigmoid(_logit(s, self.score) / self.temperature))

    def to_dict(self) -> dict[str, Any]:
        """``kind``, ``temperature``, ``score``."""
        return {"kind": self.kind, "temperature": self.temperature, "score": self.score}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(float(values["temperature"]), values["score"])


def _logit(scores: Tensor, kind: ScoreKind) -> Tensor:
    """Logit, log p - log(1 - p), ±inf at certainty, (N,)."""
    check_choice("score", kind, ScoreKind)
    low, high = (0.0, 1.0) if kind == "probability" else (-math.inf, 0.0)
    outside = ((scores < low) | (scores > high)).nonzero()
    if len(outside):
        first = int(outside[0])
        other = next(k for k in get_args(ScoreKind) if k != kind)
        raise ValueError(
            f"Expected `confidence` in [{low:g}, {high:g}] for score={kind!r} but got {float(scores[first]):g} at "
            f"index {first}; pass score={other!r}, or use PlattScaling for other scores"
        )
    return torch.logit(scores) if kind == "probability" else scores - torch.log(-torch.expm1(scores))
