"""What the tested cells of a study have answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lit_vlr.errors import UserError
from lit_vlr.functional.thresholds import cost_threshold
from lit_vlr.predictions import read_manifest, read_predictions
from lit_vlr.report.runs import set_order
from lit_vlr.scoring.selective import answers_of
from lit_vlr.scoring.weighted import Answers
from lit_vlr.study.plan import Cell
from lit_vlr.types import Prediction


@dataclass(frozen=True)
class Scored:
    """One arm's answers to one set under one seed.

    Attributes:
        answers: labelled.
        threshold: that was in force: chosen for the risk that the study promises.
        by_cost: by price of a wrong answer, the threshold with the highest effective reliability on the calibration
            split: who pays ten times for a mistake answers less than who was promised a risk. Empty where there are no
            calibration predictions.
        home: the data set in domain, as the test recorded it; None where it did not.
    """

    answers: Answers
    threshold: float
    by_cost: Mapping[float, float] = field(default_factory=dict)
    home: str | None = None


Answered: TypeAlias = Mapping[str, Mapping[str, Mapping[int, Scored]]]
"""Answers by set, arm and seed."""


def read_cells(cells: Sequence[Cell]) -> dict[str, dict[str, dict[int, Scored]]]:
    """What tested cells have answered, by set, arm and seed.

    Raises:
        UserError: for answers without labels, or a set that shares questions with the calibration split.
        PredictionsFormatError: for predictions that cannot be used.
    """
    found: dict[str, dict[str, dict[int, Scored]]] = {}
    for cell in cells:
        calibration = cell.folder / "calibration.jsonl"
        fitting = read_predictions(calibration) if "validate" in cell.verbs else []
        fitted_on, by_cost = {p.uid for p in fitting}, _by_cost(fitting, cell.plan.costs)
        for path in sorted((cell.folder / "predictions").glob("*.jsonl"), key=lambda p: set_order(p.stem)):
            predictions = read_predictions(path)
            if shared := [p.uid for p in predictions if p.uid in fitted_on]:
                raise UserError(
                    f"Expected {path} and {calibration} to be apart but {len(shared)} questions are in both, such as "
                    f"{shared[0]}; a threshold is not tested on what it was chosen on"
                )
            if unlabelled := [p.uid for p in predictions if p.accuracy is None]:
                raise UserError(f"Expected labels in {path} but {unlabelled[0]} has none; a study needs a labelled set")
            manifest = read_manifest(path)
            arms = found.setdefault(path.stem, {})
            made = Scored(answers_of(predictions), manifest["threshold"], by_cost, manifest.get("home"))
            arms.setdefault(cell.arm, {})[cell.seed] = made
    return found


def _by_cost(fitting: Sequence[Prediction], costs: Sequence[float]) -> dict[float, float]:
    if not fitting:
        return {}
    confidence, correctness = [p.confidence for p in fitting], [p.accuracy or 0.0 for p in fitting]
    declined = [float(p.declined) for p in fitting]
    return {cost: cost_threshold(confidence, correctness, cost, abstained=declined).threshold for cost in costs}
