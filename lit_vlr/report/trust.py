"""Whether an attack is to be believed: what was found when it was checked, and what is left of it in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lit_vlr.report import words
from lit_vlr.report.runs import Run, set_names

KEYS = ("check", "png")
"""The manifest's entries that this is about."""

COLUMNS = (
    "Set",
    "Arm",
    "Loss: clean → one step → half range → all",
    "Random search",
    "Survive without a bound",
    "Accuracy attacked → as PNG",
    "Still fooled as PNG",
    "Largest change as PNG",
    "Signs of a weak attack",
)

NOTE = (
    "An attack that fails may only be weak. Its loss should rise with steps and with the range, exceed that of random"
    " search at equal cost, and without a bound nothing should survive; these losses are means over the first few"
    " questions of the set. And its pictures must be pictures: each was written to an 8-bit PNG file, read the ordinary"
    " way, and answered once more. “Still fooled” counts, of the questions whose accuracy the attack lowered, those"
    " whose accuracy the file lowers too."
)

Cell = tuple[str, str] | None


def rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Sets, and in each the arms whose attack was checked or brought to files, with their cells."""
    names = set_names(runs)
    found = []
    for name in names:
        arms = [(run.name, run.sets[name].manifest) for run in runs if name in run.sets]
        known = [
            {"arm": arm, "cells": cells(manifest)} for arm, manifest in arms if any(manifest.get(key) for key in KEYS)
        ]
        if known:
            found.append({"set": name, "rows": known})
    return found


def cells(manifest: Mapping[str, Any]) -> list[Cell]:
    """Value and remark of every column after the arm; None where it was not looked at."""
    return [*_check(manifest.get("check")), *_png(manifest.get("png")), _signs(manifest.get("check"))]


def _check(found: Mapping[str, Any] | None) -> list[Cell]:
    if not found:
        return [None, None, None]
    losses = [found[key] for key in ("clean_loss", "one_step_loss", "half_range_loss", "attacked_loss")]
    rise = " → ".join(_loss(value) for value in losses)
    left = found["unbroken"]
    return [
        (rise, f"{found['n']} questions"),
        (_loss(found["random_loss"]), ""),
        None if left is None else (words.percent(left), f"loss {_loss(found['unbounded_loss'])}"),
    ]


def _png(found: Mapping[str, Any] | None) -> list[Cell]:
    if not found:
        return [None, None, None]
    share = found["still_fooled"] / found["fooled"] if found["fooled"] else None
    return [
        (f"{words.percent(found['attacked_accuracy'])} → {words.percent(found['png_accuracy'])}", f"of {found['n']:,}"),
        None if share is None else (words.percent(share), f"of {found['fooled']:,}"),
        (f"{round(255 * found['largest_change'])}/255", ""),
    ]


def _signs(found: Mapping[str, Any] | None) -> Cell:
    if not found:
        return None
    return ("none found", "") if not found["problems"] else (f"{len(found['problems'])}", " ".join(found["problems"]))


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")
