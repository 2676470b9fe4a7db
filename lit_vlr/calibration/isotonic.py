"""Isotonic regression of accuracy on confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.isotonic import isotonic_regression
from torch import Tensor

from lit_vlr.calibration.base import Calibrator, as_float64, check_split
from lit_vlr.functional._validation import ArrayLike, check_confidence
from lit_vlr.infinities import from_json, to_json


@dataclass(frozen=True)
class IsotonicCalibration(Calibrator):
    """The rising curve that fits best by least squares; straight between fitted scores, flat outside of them.

    Rows of equal confidence count as one row of their mean accuracy. Confidences that fall into one level of the curve
    become ties: a threshold can no longer cut between them. -inf and +inf are scores like others; what lies between an
    infinite score and the nearest finite one takes the value of the finite one.

    Attributes:
        scores: where the curve bends, rising, at least one.
        values: expected accuracy there, never falling, in [0, 1].

    Reference:
        Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002,
        Section 3 (isotonic regression); pool-adjacent-violators by scikit-learn.

    Example:
        >>> curve = IsotonicCalibration.fit([0.9, 0.8, 0.7, 0.2], [1.0, 0.0, 0.6, 0.0])
        >>> [round(float(a), 3) for a in curve([0.95, 0.75, 0.45, 0.1])]
        [1.0, 0.3, 0.15, 0.0]
    """

    scores: tuple[float, ...]
    values: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    def __post_init__(self) -> None:
        scores, values = self.scores, self.values
        rising = all(a < b for a, b in pairwise(scores)) and all(a <= b for a, b in pairwise(values))
        inside = all(0 <= v <= 1 for v in values) and not any(np.isnan(scores))
        if not scores or len(scores) != len(values) or not rising or not inside:
            raise ValueError(
                f"Expected rising `scores` and as many `values` in [0, 1] that never fall but got {scores} and {values}"
            )

    @classmethod
    def fit(cls, confidence: ArrayLike, correctness: ArrayLike) -> Self:
        """Fit the curve.

        Args:
            confidence: any scores, higher is surer, ±inf allowed, (N,).
            correctness: soft accuracies in [0, 1], (N,).

        Raises:
            DegenerateCalibrationError: for a split of `check_split`.
            ValueError: for malformed columns.
        """
        confidences, accuracy = check_split(confidence, correctness)
        scores, place, count = np.unique(confidences.numpy(), return_inverse=True, return_counts=True)
        mean = np.bincount(place, weights=accuracy.numpy()) / count
        values = np.clip(isotonic_regression(mean, sample_weight=count.astype(np.float64)), 0.0, 1.0)
        # Only the ends of a level bend the curve; infinite scores always stay, since nothing is interpolated to them.
        keep = np.ones(len(scores), dtype=bool)
        keep[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
        keep[1:-1] |= ~(np.isfinite(scores[:-2]) & np.isfinite(scores[2:]))
        return cls(tuple(scores[keep].tolist()), tuple(values[keep].tolist()))

    def __call__(self, confidence: ArrayLike) -> Tensor:
        """Expected accuracy, (N,)."""
        given = check_confidence(confidence).numpy()
        scores, values = np.array(self.scores), np.array(self.values)
        finite = np.isfinite(scores)
        if not finite.any():  # only -inf and +inf were seen: what lies between is no surer than -inf
            return as_float64([values[-1] if c == np.inf else values[0] for c in given])
        found = np.interp(given, scores[finite], values[finite])
        found = np.where(given == -np.inf, values[0], found)
        return torch.from_numpy(np.where(given == np.inf, values[-1], found))

    def to_dict(self) -> dict[str, Any]:
        """``kind``, ``scores``, ``values``; infinite scores as strings."""
        return {"kind": self.kind, "scores": [to_json(s) for s in self.scores], "values": list(self.values)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(tuple(from_json(s) for s in values["scores"]), tuple(from_json(v) for v in values["values"]))
