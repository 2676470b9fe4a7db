"""What every way of choosing a threshold returns, and what they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lit_vlr.functional._validation import (
    ArrayLike,
    check_abstained,
    check_confidence,
    check_correctness,
    check_number,
)
from lit_vlr.functional.operating_point import RISK_TOLERANCE
from lit_vlr.functional.risk_coverage import risk_coverage_curve

ThresholdMethod: TypeAlias = Literal["ltt", "sgr", "crc", "empirical", "cost", "coverage"]
"""Learn-then-Test, Selection with Guaranteed Risk, conformal risk control, and three that promise nothing."""


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold chosen on a calibration split: answer where ``confidence >= threshold``.

    Attributes:
        threshold: +inf abstains on everything, even on rows of confidence +inf.
        method: how it was chosen.
        target: what was asked for: a risk, a cost or a coverage.
        delta: probability with which the guarantee may fail; None where there is none of this kind.
        n: questions in the calibration split, those that the model declined in words included.
        answered: of these, how many the threshold answers.
        risk: mean loss of the answered ones; None where nothing is answered.
        bound: what is proven of the controlled risk: SGR's upper bound, the target of Learn-then-Test, the conformal
            mean of `crc`; None without a guarantee.
        reason: why everything is abstained on; empty where something is answered.
    """

    threshold: float
    method: ThresholdMethod
    target: float
    delta: float | None
    n: int
    answered: int
    risk: float | None
    bound: float | None
    reason: str = ""

    @property
    def feasible(self) -> bool:
        """Whether anything is answered."""
        return self.threshold < math.inf

    @property
    def coverage(self) -> float:
        """Share of the calibration split that is answered."""
        return self.answered / self.n

    @property
    def guarantee(self) -> str:
        """In words, what holds for questions drawn as the calibration split was, and nowhere else."""
        if not self.feasible:
            return "nothing is answered, so nothing is answered wrongly"
        if self.method in ("ltt", "sgr"):
            sure = f"with probability {1 - (self.delta or 0):g} over calibration splits"
            return f"risk among the answered is at most {self.target:g}, {sure}"
        if self.method == "crc":
            mean = "on average over calibration splits"
            return f"answered and wrong are at most {self.target:g} of all questions, {mean}"
        return "none: true of the calibration split itself"


NOTHING_TO_ANSWER = "the model declined every calibration question in words"


class Cuts(NamedTuple):
    """The K thresholds that tell calibration rows apart, strictest first; tied rows enter together.

    Attributes:
        threshold: descending, never +inf, (K,); K = 0 where everything was declined in words.
        answered: rows at or above it that were not declined, (K,).
        loss: sum of their losses, (K,).
        n: all rows.
    """

    threshold: npt.NDArray[np.float64]
    answered: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float64]
    n: int

    @property
    def answerable(self) -> int:
        """Rows that a threshold can answer: those that were not declined in words."""
        return int(self.answered.max(initial=0))

    @property
    def spotless(self) -> npt.NDArray[np.bool_]:
        """Cuts that answer nothing even partly wrong, (K,)."""
        return self.loss <= RISK_TOLERANCE * self.answered

    @property
    def n_spotless(self) -> int:
        """How many rows the last spotless cut answers."""
        return int(self.answered[self.spotless].max(initial=0))

    def choose(
        self, cut: int, method: ThresholdMethod, target: float, delta: float | None = None, bound: float | None = None
    ) -> ThresholdChoice:
        """The choice of one cut."""
        answered, loss = int(self.answered[cut]), float(self.loss[cut])
        threshold = float(self.threshold[cut])
        return ThresholdChoice(threshold, method, target, delta, self.n, answered, loss / answered, bound)

    def abstain(
        self, reason: str, method: ThresholdMethod, target: float, delta: float | None = None
    ) -> ThresholdChoice:
        """The choice to answer nothing."""
        return ThresholdChoice(math.inf, method, target, delta, self.n, 0, None, None, reason)


def cuts_of(confidence: ArrayLike, correctness: ArrayLike, abstained: ArrayLike | None = None) -> Cuts:
    """Check the columns and find the cuts.

    Args:
        confidence: scores, higher is surer, ±inf allowed, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        abstained: 1 where the model declined in words, which no threshold answers, (N,); nowhere by default.
    """
    curve = risk_coverage_curve(confidence, correctness, abstained=abstained)
    n = len(check_confidence(confidence))
    answered = (curve.coverage * n).round()
    return Cuts(curve.threshold.numpy(), answered.long().numpy(), (curve.risk * answered).numpy(), n)


def answered_correctness(correctness: ArrayLike, abstained: ArrayLike | None) -> Tensor:
    """The checked accuracies of rows that were not declined in words."""
    accuracy = check_correctness(correctness)
    return accuracy if abstained is None else accuracy[check_abstained(abstained) == 0]


def check_certifiable_risk(max_risk: float) -> float:
    """A risk in (0, 1]."""
    remedy = "no number of questions proves that nothing will be wrong; 1% is 0.01"
    return check_number("max_risk", max_risk, 0, 1, remedy, low_open=True)


def check_delta(delta: float) -> float:
    """A probability in (0, 1)."""
    if not 0 < delta < 1:
        raise ValueError(
            f"Expected `delta` in (0, 1) but got {delta:g}; it is the probability with which the guarantee may fail, "
            "0.05 say"
        )
    return float(delta)
