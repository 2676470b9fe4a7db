"""What the tested cells of a study have answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lit_vlr.errors import UserError
from lit_vlr.predictions import read_manifest, read_predictions
from lit_vlr.report.runs import set_order
from lit_vlr.scoring.selective import answers_of
from lit_vlr.scoring.weighted import Answers
from lit_vlr.study.plan import Cell


@dataclass(frozen=True)
class Scored:
    """One arm's answers to one set under one seed.

    Attributes:
        answers: labelled.
        threshold: that was in force.
    """

    answers: Answers
    threshold: float


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
        fitted_on = {p.uid for p in read_predictions(calibration)} if "validate" in cell.verbs else set()
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
            arms.setdefault(cell.arm, {})[cell.seed] = Scored(answers_of(predictions), manifest["threshold"])
    return found
