"""What each arm answers, and how often that is wrong, as its threshold moves from the frozen one to either end.

Confidences of two arms, or of two fits of one arm, are not of one scale, so no threshold is common to all of them. What
is common is the way from the frozen threshold: at position -p an arm withholds p percent of the answers that it gave
there, at position p it gives p percent of those that it withheld. Position 0 is every arm at its own frozen threshold.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lit_vlr.functional import risk_coverage_curve
from lit_vlr.report import words
from lit_vlr.report.runs import PredictionSet, Run
from lit_vlr.types import Prediction

Floats: TypeAlias = npt.NDArray[np.float64]
STEPS = 100
POSITIONS = tuple(range(-STEPS, STEPS + 1))
"""The places of the slider, from nothing answered over the frozen thresholds, at 0, to everything answered."""
_DIGITS = 6  # rounded twice, .14252 would be 14.2% here and 14.3% beside it
_LOWEST = -sys.float_info.max  # for -inf, which answers everything and which JSON does not have


@dataclass(frozen=True)
class SetSweep:
    """One arm on one set at every position.

    Attributes:
        coverage: share of questions that are answered, in [0, 1].
        risk: 1 - accuracy among the answered, in [0, 1]; None where nothing labelled is answered.
    """

    coverage: tuple[float, ...]
    risk: tuple[float | None, ...]


@dataclass(frozen=True)
class Sweep:
    """One arm at every position, its fits moving together.

    Attributes:
        arm: its name.
        thresholds: of the arm's fits, at each position, (fits, positions), never rising; +inf answers nothing.
        sets: by name.
    """

    arm: str
    thresholds: tuple[tuple[float, ...], ...]
    sets: Mapping[str, SetSweep]


def sweep(run: Run) -> Sweep:
    """Move the thresholds of one arm.

    Where fits of one arm are shown as one, each moves from its own frozen threshold on its own confidences; rates are
    over the answers of all.
    """
    fits = {name: _fits(one) for name, one in run.sets.items()}
    thresholds, starts = {}, {}
    for fit in sorted({fit for found in fits.values() for fit in found}):
        start = starts[fit] = frozen(run, fit)
        own = [p.confidence for found in fits.values() for p in found.get(fit, ()) if not declined(p, start)]
        thresholds[fit] = moved(np.array(own), start)
    sets = {
        name: _set_sweep([(found[fit], thresholds[fit], starts[fit]) for fit in found]) for name, found in fits.items()
    }
    return Sweep(run.name, tuple(tuple(one.tolist()) for one in thresholds.values()), sets)


def frozen(run: Run, fit: int = 0) -> float:
    """The threshold that all sets of a fit were decided by: as recorded, else read off the decisions.

    `read_runs` refuses sets with several. Nothing was answered below the lowest answered confidence; where nothing was
    answered at all it is +inf.
    """
    sets = [one for one in run.sets.values() if fit in one.thresholds]
    known = [found for one in sets if (found := one.thresholds[fit]) is not None]
    if known:
        return known[0]
    return min((p.confidence for one in sets for p in _fits(one)[fit] if not p.abstained), default=math.inf)


def declined(prediction: Prediction, threshold: float) -> bool:
    """Whether it was withheld for another reason than its confidence, so that no threshold would give it."""
    above = prediction.abstained and threshold != math.inf and prediction.confidence >= threshold
    return prediction.declined or above


def moved(confidence: Floats, frozen: float) -> Floats:
    """A fit's threshold at each position, (positions,).

    Only confidences that occur can be cut at, and equal ones are answered together; where a position falls inside of
    such a block, the block is withheld.

    Args:
        confidence: of all answers that a threshold can give, (N,).
        frozen: the threshold at position 0.

    >>> moved(np.array([0.9, 0.8, 0.8, 0.5]), 0.8)[[0, 50, 100, 150, 200]]
    array([inf, 0.9, 0.8, 0.8, 0.5])
    """
    cuts, counts = np.unique(-confidence, return_counts=True)
    levels, answered = np.concatenate([[math.inf], -cuts]), np.concatenate([[0], counts.cumsum()])
    given = int((confidence >= frozen).sum()) if frozen != math.inf else 0

    def at(position: int) -> float:
        if position == 0:
            return frozen
        # Whole numbers: a share of 3 of 10 must not become 2 for a rounding.
        more = (len(confidence) - given) * position if position > 0 else given * position
        level = float(levels[np.searchsorted(answered, given + more // STEPS, side="right") - 1])
        return min(level, frozen) if position > 0 else max(level, frozen)

    return np.array([at(position) for position in POSITIONS])


def as_json(sweeps: Sequence[Sweep]) -> dict[str, object]:
    """For the page's script: rates with six digits, thresholds of the first fit, which the gallery shows, with all.

    ``null`` is a threshold of +inf, and the risk of no answer.
    """
    return {
        "positions": [POSITIONS[0], POSITIONS[-1]],
        "arms": [
            {
                "thresholds": [None if t == math.inf else max(t, _LOWEST) for t in one.thresholds[0]],
                "sets": {
                    name: {
                        "coverage": [round(value, _DIGITS) for value in found.coverage],
                        "risk": [None if value is None else round(value, _DIGITS) for value in found.risk],
                    }
                    for name, found in one.sets.items()
                },
            }
            for one in sweeps
        ],
    }


def table(sweeps: Sequence[Sweep], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows by set at the frozen thresholds, for the page."""
    return [
        {"set": name, "rows": [_row(one, name) for one in sweeps if name in one.sets]}
        for name in names
        if any(name in one.sets for one in sweeps)
    ]


def _row(one: Sweep, name: str) -> dict[str, str]:
    threshold, risk = one.thresholds[0][STEPS], one.sets[name].risk[STEPS]
    return {
        "arm": one.arm,
        "threshold": "above all" if threshold == math.inf else f"{threshold:.4g}",
        "coverage": words.percent(one.sets[name].coverage[STEPS]),
        "risk": "–" if risk is None else words.percent(risk),
    }


def _fits(one: PredictionSet) -> dict[int, list[Prediction]]:
    found: dict[int, list[Prediction]] = {}
    for p, fit in zip(one.predictions, one.fits or (0,) * len(one.predictions), strict=True):
        found.setdefault(fit, []).append(p)
    return found


def _set_sweep(fits: Sequence[tuple[list[Prediction], Floats, float]]) -> SetSweep:
    n = sum(len(predictions) for predictions, _, _ in fits)
    answered, known, wrong = (np.zeros(len(POSITIONS)) for _ in range(3))
    for predictions, thresholds, at in fits:
        confidence = np.sort([p.confidence for p in predictions if not declined(p, at)])
        answered += len(confidence) - np.searchsorted(confidence, thresholds, side="left")
        labelled, lost = _labelled(predictions, thresholds, at)
        known, wrong = known + labelled, wrong + lost
    risk = [float(w / k) if k else None for w, k in zip(wrong, known, strict=True)]
    return SetSweep(tuple((answered / n).tolist()), tuple(risk))


def _labelled(predictions: Sequence[Prediction], thresholds: Floats, at: float) -> tuple[Floats, Floats]:
    """Answered labelled questions at each threshold, and the loss on them."""
    rows = [p for p in predictions if p.accuracy is not None]
    if not rows:
        return np.zeros(len(thresholds)), np.zeros(len(thresholds))
    curve = risk_coverage_curve(
        [p.confidence for p in rows],
        [p.accuracy for p in rows if p.accuracy is not None],
        abstained=[float(declined(p, at)) for p in rows],
    )
    # The last cut that is not below the threshold; none where the threshold is above all.
    cut = np.searchsorted(-curve.threshold.numpy(), -thresholds, side="right")
    answered = np.concatenate([[0.0], len(rows) * curve.coverage.numpy()])
    lost = np.concatenate([[0.0], len(rows) * curve.coverage.numpy() * curve.risk.numpy()])
    return answered[cut], lost[cut]
