"""Platt scaling of any score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lit_vlr.calibration.base import Calibrator, DegenerateCalibrationError, check_increasing, check_split, rising
from lit_vlr.functional._validation import ArrayLike, check_confidence

_ROUNDING = 1e-9  # of a slope in units of the scores' spread


@dataclass(frozen=True)
class PlattScaling(Calibrator):
    r"""A logistic curve through scores of any scale.

    .. math:: \hat a = \sigma(w s + b), \quad w > 0

    Fitted by cross-entropy. Platt pulls labels towards one half, so that w stays finite where the scores separate right
    from wrong; for soft accuracies a the target becomes :math:`a \frac{N_+ + 1}{N_+ + 2} + (1 - a) \frac{1}{N_- + 2}`
    with :math:`N_+ = \sum a` and :math:`N_- = \sum (1 - a)`, which is his for a of 0 and 1. Rows of confidence -inf and
    +inf are mapped to 0 and 1 whatever the parameters, and are left out of the fit.

    Attributes:
        slope: w > 0.
        intercept: b.

    Reference:
        Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood Methods",
        1999, Section 2 and its equation for the targets.

    Example:
        >>> scaling = PlattScaling.fit([-4.0, -3.0, -2.0, -1.0], [0.0, 0.6, 0.3, 1.0])
        >>> [round(float(a), 3) for a in scaling([-4.0, -2.5, -1.0])]
        [0.281, 0.479, 0.684]
    """

    slope: float
    intercept: float
    kind: ClassVar[str] = "platt"

    def __post_init__(self) -> None:
        check_increasing(self.slope, "a calibrator keeps the order of confidences")
        if not (np.isfinite(self.slope) and np.isfinite(self.intercept)):
            raise ValueError(f"Expected finite `slope` and `intercept` but got {self.slope}, {self.intercept}")

    @classmethod
    def fit(cls, confidence: ArrayLike, correctness: ArrayLike) -> Self:
        """Fit w and b.

        Args:
            confidence: any scores, higher is surer, ±inf allowed, (N,).
            correctness: soft accuracies in [0, 1], (N,).

        Raises:
            DegenerateCalibrationError: for a split of `check_split`, fewer than two finite confidences, or accuracy
                that does not rise with confidence.
            ValueError: for malformed columns.
        """
        scores, accuracy = check_split(confidence, correctness)
        finite = scores.isfinite()
        score, soft = scores[finite].numpy(), accuracy[finite].numpy()
        # Scores in units of their spread: raw log-probabilities of a narrow range would condition the fit badly. From
        # the middle of the range and not from the mean: that of three equal scores can differ from them in the last
        # bit, which then was taken for the spread, and it depends on the order of the rows.
        low, high = (score.min(), score.max()) if len(score) else (0.0, 0.0)
        centre, scale = low / 2 + high / 2, high / 2 - low / 2
        if not 1e-300 < scale < 1e300:
            raise DegenerateCalibrationError(
                f"Expected at least two different finite confidences but {len(score)} are finite and differ by "
                f"{scale:.3g}; use IsotonicCalibration, which takes any"
            )
        right, wrong = soft.sum(), (1 - soft).sum()
        target = soft * (right + 1) / (right + 2) + (1 - soft) / (wrong + 2)
        column = ((score - centre) / scale)[:, None]
        # A soft label is its two classes, weighted.
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        labels = np.repeat([1, 0], len(target))
        model.fit(np.vstack([column, column]), labels, sample_weight=np.concatenate([target, 1 - target]))
        check_increasing(float(model.coef_[0, 0]), "use another score: this one is no confidence", _ROUNDING)
        slope = float(model.coef_[0, 0] / scale)
        return cls(slope, float(model.intercept_[0] - slope * centre))

    def __call__(self, confidence: ArrayLike) -> Tensor:
        """Expected accuracy, (N,)."""
        return rising(check_confidence(confidence), lambda s: torch.sigmoid(self.slope * s + self.intercept))

    def to_dict(self) -> dict[str, Any]:
        """``kind``, ``slope``, ``intercept``."""
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(float(values["slope"]), float(values["intercept"]))
