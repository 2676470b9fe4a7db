"""The table of every arm on every set, and the tiles above it, as the cells that page and Markdown show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_vlr.functional import Interval
from lit_vlr.report import words
from lit_vlr.report.summary import MAX_RISK, Row, Summary, complement

COLUMNS = (
    "Set",
    "Arm",
    "n",
    "Accuracy",
    "Coverage",
    "Abstention rate",
    "Selective accuracy",
    "AURC ↓",
    f"Coverage at {MAX_RISK:.0%} risk",
)


def tiles(summary: Summary, hues: Mapping[str, int]) -> list[dict[str, Any]]:
    """The headline of each arm: clean to attacked accuracy on the first data set that was attacked, worst first."""
    found = []
    changes = words.worst_first(summary.changes)
    for arm in summary.arms:
        lines = [
            {
                "data": change.data,
                "attack": change.attack,
                "clean": words.percent(change.clean.accuracy.value),
                "attacked": words.percent(change.attacked.accuracy.value),
                "change": words.change_text(change.accuracy_loss),
                "abstained": [words.percent(rates.abstention.value) for rates in (change.clean, change.attacked)],
            }
            for change in changes
            if change.arm == arm and change.clean.accuracy and change.attacked.accuracy and change.accuracy_loss
        ]
        if lines:
            found.append({"arm": arm, "hue": hues[arm], "lines": lines[:3]})
    return found


def rows(summary: Summary, hues: Mapping[str, int]) -> list[dict[str, Any]]:
    """The rows by set, for the page."""
    return [
        {
            "set": name,
            "rows": [
                {"arm": row.arm, "hue": hues[row.arm], "n": count(row), "cells": cells(row)}
                for row in summary.rows
                if row.set == name
            ],
        }
        for name in summary.sets
    ]


def count(row: Row) -> str:
    """Predictions, and how many of them have labels where not all do."""
    return f"{row.n:,}" if row.n_labelled in (0, row.n) else f"{row.n:,} ({row.n_labelled:,} labelled)"


def cells(row: Row) -> list[tuple[str, str] | None]:
    """Estimate and interval of every column after n."""

    def share(interval: Interval | None) -> tuple[str, str] | None:
        return None if interval is None else (words.percent(interval.value), words.brackets(interval))

    rates = row.rates
    area = None if row.aurc is None else (f"{row.aurc.value:.3f}", words.brackets(row.aurc, scale=1, digits=3))
    return [
        share(rates.accuracy),
        share(complement(rates.abstention)),
        share(rates.abstention),
        share(rates.selective_accuracy),
        area,
        share(row.coverage_at_risk),
    ]
