"""The study's table as JSON, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lit_vlr.functional import Interval, PairedDifference
from lit_vlr.infinities import to_json
from lit_vlr.report.words import brackets
from lit_vlr.study.identity import write_whole
from lit_vlr.study.table import Comparison, Row, Table
from lit_vlr.versions import versions

_PERCENT = ("accuracy", "coverage", "risk", "violation", "coverage_at_risk", "oracle_coverage_gap")
_SHOWN = ("accuracy", "coverage", "risk", "violation", "aurc", "coverage_at_risk", "oracle_coverage_gap")
_COLUMNS = {
    "accuracy": "accuracy, %",
    "coverage": "coverage, %",
    "risk": "risk, %",
    "violation": "violation, points",
    "aurc": "AURC",
    "coverage_at_risk": "C@R, %",
    "oracle_coverage_gap": "oracle gap, points",
}


def write_table(
    table: Table, answer: Sequence[str], folder: Path, figures: Sequence[tuple[str, Path]] = ()
) -> list[Path]:
    """Write ``study.json``, ``study.md`` and ``study.csv``, each whole or not at all.

    Args:
        table: the figures.
        answer: sentences of `lit_vlr.study.words.answer`.
        folder: where to.
        figures: what each is called, and its file inside of the folder; Markdown shows them.
    """
    shown = [(said, path.relative_to(folder).as_posix()) for said, path in figures]
    texts = {"json": as_json(table, answer), "md": as_markdown(table, answer, shown), "csv": as_csv(table)}
    paths = [folder / f"study.{kind}" for kind in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_whole(path, text)
    return paths


def as_json(table: Table, answer: Sequence[str]) -> str:
    """Every figure; what is not defined is null."""
    document = {
        "answer": list(answer),
        "baseline": table.baseline,
        "max_risk": table.max_risk,
        "n_resamples": table.n_resamples,
        "level": 0.95,
        "versions": versions(),
        "rows": [_row(row) for row in table.rows],
        "arms": [_comparison(one) for one in table.arms],
        "attacks": [_comparison(one) for one in table.attacks],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(table: Table) -> str:
    """One line a figure: arm, set, seeds, metric, value and interval; empty where it is not defined."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("arm", "set", "n", "seeds", "metric", "value", "low", "high"))
    for row in table.rows:
        seeds = " ".join(map(str, row.seeds))
        for name, interval in row.metrics.items():
            ends = ["" if math.isnan(end) else repr(end) for end in interval]
            writer.writerow((row.arm, row.set, row.n, seeds, name, *ends))
    return out.getvalue()


def as_markdown(table: Table, answer: Sequence[str], figures: Sequence[tuple[str, str]] = ()) -> str:
    """The answer, the rows, each arm against the baseline, and the report's figures."""
    risk = f"{100 * table.max_risk:g}%"
    names = _names(table)
    heads = [_head(name) for name in names]
    rows = [[row.set, row.arm, f"{row.n} × {len(row.seeds)}", *_cells(row.metrics, names)] for row in table.rows]
    parts = ["# Study", *answer, _lines(["set", "arm", "n × seeds", *heads], rows)]
    if table.arms:
        compared = [[one.set, one.arm, *_cells(one.differences, names), _ratio(one)] for one in table.arms]
        parts += [f"## Each arm minus “{table.baseline}”", _lines(["set", "arm", *heads, "AURC ratio"], compared)]
    if table.attacks:
        taken = [[one.set, one.arm, *_cells(one.differences, names), _ratio(one)] for one in table.attacks]
        parts += ["## Under attack minus clean", _lines(["set", "arm", *heads, "AURC ratio"], taken)]
    which = "that the calibration split has for that cost" if table.own_for_costs else "in force"
    parts.append(
        f"Brackets: 95% bootstrap intervals over pictures ({table.n_resamples:,} resamples), answers under all seeds "
        f"together. Risk: wrong among the answered at the threshold that was frozen on calibration data. Violation: "
        f"that minus the {risk} that were allowed. C@R: the largest coverage at {risk} risk by the best threshold on "
        "the very set; oracle gap: that minus the realised coverage, negative where more was answered than the risk "
        "allows. Φ: a right answer earns its accuracy, a wrong one "
        f"costs its index, abstaining earns nothing, at the threshold {which}."
    )
    if figures:
        parts += ["## Figures", *(f"{said}\n\n![{said}]({path})" for said, path in figures)]
    return "\n\n".join(parts) + "\n"


def _names(table: Table) -> list[str]:
    """The metrics that Markdown shows; JSON and CSV have all."""
    known = table.rows[0].metrics
    return [name for name in known if _kind(name) in _SHOWN or name.startswith("effective_reliability")]


def _kind(name: str) -> str:
    return name.partition("@")[0]


def _head(name: str) -> str:
    return f"Φ{name.partition('@')[2]}" if name.startswith("effective") else _COLUMNS[_kind(name)]


def _cells(metrics: Mapping[str, Interval] | Mapping[str, PairedDifference], names: Sequence[str]) -> list[str]:
    return [_text(name, Interval(*metrics[name][:3])) for name in names]


def _text(name: str, interval: Interval) -> str:
    scale, digits = (100, 1) if _kind(name) in _PERCENT else (1, 3)
    return figure(interval, scale, digits)


def figure(interval: Interval, scale: float, digits: int) -> str:
    """A figure with its interval; a dash where it is not defined."""
    if math.isnan(interval.value):
        return "–"
    value = f"{round(scale * interval.value, digits) + 0.0:.{digits}f}".replace("-", "−")
    return f"{value} {brackets(interval, scale, digits)}"


def _ratio(one: Comparison) -> str:
    return _text("aurc", one.ratios["aurc"])


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---"] * 2 + ["---:"] * (len(heads) - 2)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ruler, *rows))


def _row(row: Row) -> dict[str, Any]:
    return {
        "arm": row.arm,
        "set": row.set,
        "seeds": list(row.seeds),
        "n": row.n,
        "images": row.images,
        "thresholds": [to_json(threshold) for threshold in row.thresholds],
        "metrics": {
            name: {**_ends(interval), "by_seed": [_number(value) for value in row.by_seed[name]]}
            for name, interval in row.metrics.items()
        },
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "arm": one.arm,
        "set": one.set,
        "minus": {"arm": one.minus_arm, "set": one.minus_set},
        "differences": {name: _ends(found) for name, found in one.differences.items()},
        "ratios": {name: _ends(found) for name, found in one.ratios.items()},
    }


def _ends(found: Interval | PairedDifference) -> dict[str, float | None]:
    return {name: _number(value) for name, value in found._asdict().items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
