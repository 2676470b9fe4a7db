"""What the positions of the threshold slider mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lit_vlr.module import SelectiveVLM

_STEPS = 200
_LOWEST = -5.0  # where a score has no lower bound; a negative entropy of -5 nats is as good as a guess among 150 tokens


@dataclass(frozen=True)
class Scale:
    """A slider over the range of a confidence.

    Its left end answers everything and its right end nothing, so that thresholds of -inf and +inf have a place. The
    place that the slider starts at means the frozen threshold to its last digit, though the slider has steps.

    Attributes:
        low: the left end.
        high: the right end.
        frozen: the threshold that it starts at.

    >>> scale = Scale(0.0, 1.0, 0.43219)
    >>> scale.start, scale.threshold(scale.start), scale.threshold(0.5), scale.threshold(0.0), scale.threshold(1.0)
    (0.43, 0.43219, 0.5, -inf, inf)
    """

    low: float
    high: float
    frozen: float

    @classmethod
    def of(cls, module: SelectiveVLM) -> Scale:
        """The scale of a model's confidence, wide enough for the threshold that it brings."""
        frozen = float(module.threshold)
        low, high = module.confidence.bounds
        low, high = max(low, _LOWEST), min(high, -_LOWEST)
        if math.isfinite(frozen):
            low, high = min(low, math.floor(frozen)), max(high, math.ceil(frozen))
        return cls(low, high, frozen)

    @property
    def step(self) -> float:
        """From one position to the next."""
        return (self.high - self.low) / _STEPS

    @property
    def start(self) -> float:
        """The position that stands for the frozen threshold."""
        if self.frozen <= self.low:
            return self.low
        if self.frozen >= self.high:
            return self.high
        return round(self.low + round((self.frozen - self.low) / self.step) * self.step, 6)

    def threshold(self, position: float) -> float:
        """The threshold that a position stands for."""
        if abs(position - self.start) < self.step / 4:
            return self.frozen
        if position <= self.low:
            return -math.inf
        return math.inf if position >= self.high else position

    def share(self, value: float) -> float:
        """How far along the scale a value lies, in [0, 1]."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
