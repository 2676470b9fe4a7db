"""The page of `lit-vlr score`: every metric of every file, differences to the first, and risk against coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from markupsafe import Markup

from lit_vlr.functional import Interval, PairedDifference, risk_coverage_curve
from lit_vlr.report.figures import Curve, risk_coverage
from lit_vlr.report.page import render, write_page
from lit_vlr.scoring.selective import HIGHER_IS_BETTER, Answers, GroupScores
from lit_vlr.threshold_file import ThresholdFile

Cell: TypeAlias = tuple[str, str] | None
"""A value and what stands small below it; None where it is not defined."""


@dataclass(frozen=True)
class Scored:
    """One file and its scores.

    Attributes:
        file: where the answers are.
        name: what it is called; unique among the files.
        answers: the answers as columns.
        metrics: every score with its interval.
        groups: every score by group; None where nobody asked.
    """

    file: Path
    name: str
    answers: Answers
    metrics: Mapping[str, Interval]
    groups: GroupScores | None


@dataclass(frozen=True)
class Sheet:
    """Everything that one call of `lit-vlr score` found.

    Attributes:
        scored: the files, at least one.
        differences: of each later file, minus the first.
        threshold: what decided anew which answers are withheld; None for the recorded decisions.
        threshold_file: where it stood; None for a number.
        by: the metadata that grouped the rows; None without groups.
        n_resamples: of the bootstrap.
        made: how accuracies were made, where they were made here.
    """

    scored: Sequence[Scored]
    differences: Sequence[Mapping[str, PairedDifference]]
    threshold: float | None
    threshold_file: ThresholdFile | None
    by: str | None
    n_resamples: int
    made: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Scores that some file has, in order."""
        return [name for name in HIGHER_IS_BETTER if any(name in one.metrics for one in self.scored)]

    def notes(self) -> list[str]:
        """How to read the numbers, in a few lines."""
        first = "value [95% interval over pictures]; - where not defined"
        lines = [f"{first}; p two-sided" if self.differences else first]
        if self.threshold_file is not None:
            lines.append(self.threshold_file.say())
        elif self.threshold is not None:
            lines.append(f"answered: confidence of at least {self.threshold:g}")
        if any(one.answers.confidence is None for one in self.scored):
            lines.append("without confidences: only metrics of decisions are defined, and nothing is abstained from")
        return lines + [f"{key}: {value}" for key, value in self.made.items()]


def build_sheet(sheet: Sheet, out: str | Path) -> Path:
    """Write one self-contained page, whole or not at all.

    Args:
        sheet: what was found.
        out: the HTML file.
    """
    path = Path(out)
    arrows = {None: "", True: " ↑", False: " ↓"}
    columns = [(one.name, f"n={len(one.answers.uids):,}") for one in sheet.scored]
    columns += [(one.name, f"minus {sheet.scored[0].name}") for one in sheet.scored[1:]]
    rows = [
        {
            "name": name + arrows[HIGHER_IS_BETTER[name]],
            "cells": [
                *(_cell(one.metrics.get(name)) for one in sheet.scored),
                *(_cell(found.get(name), "+") for found in sheet.differences),
            ],
        }
        for name in sheet.names
    ]
    page = render(
        "scores.html",
        title="Selective prediction: scores",
        notes=sheet.notes(),
        columns=columns,
        rows=rows,
        by=sheet.by,
        groups=[_worst(one) for one in sheet.scored if one.groups is not None],
        figure=_figure(sheet.scored),
        n_resamples=sheet.n_resamples,
        files=[(one.name, str(one.file)) for one in sheet.scored],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, page)
    return path


def _cell(result: Interval | PairedDifference | None, sign: str = "") -> Cell:
    if result is None or math.isnan(result.value):
        return None
    below = "" if math.isnan(result.low) else f"[{result.low:{sign}.4f}, {result.high:{sign}.4f}]"
    if isinstance(result, PairedDifference) and not math.isnan(result.p_value):
        below += f" p={result.p_value:.3f}"
    return f"{result.value:{sign}.4f}", below


def _worst(one: Scored) -> dict[str, object]:
    """The worst group of every metric that has a better end."""
    assert one.groups is not None
    rows = [
        {"name": name, "group": group, "n": one.groups.sizes[group], "value": None if math.isnan(value) else value}
        for name, (group, value) in one.groups.worst.items()
    ]
    return {"name": one.name, "rows": rows}


def _figure(scored: Sequence[Scored]) -> Markup | None:
    """Risk against coverage of every file that has confidences, on one scale."""
    curves = [curve for one in scored if (curve := _curve(one)) is not None]
    if not curves:
        return None
    top = max(max(curve.risk) for curve in curves)
    spoken = "; ".join(f"{one.name}: AURC {one.metrics['aurc'].value:.3f}" for one in scored)
    scale = min(1.0, 0.1 * (1 + int(10 * top)))
    alt = f"Risk against coverage. {spoken}."
    return risk_coverage(curves, name="scores", alt=alt, max_risk=scale).element()


def _curve(one: Scored) -> Curve | None:
    if one.answers.confidence is None:
        return None
    curve = risk_coverage_curve(one.answers.confidence, one.answers.correctness)
    abstention, accuracy = (one.metrics[name].value for name in ("abstention_rate", "selective_accuracy"))
    point = None if math.isnan(accuracy) else (1 - abstention, 1 - accuracy)
    return Curve(one.name, curve.coverage.tolist(), curve.risk.tolist(), point)
