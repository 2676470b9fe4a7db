"""The report: numbers, sentences, figures and pictures put into one HTML file, and the table into Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from lit_vlr.functional import Interval, risk_coverage_curve
from lit_vlr.report import abstainer, trust, words
from lit_vlr.report.figures import SERIES, Curve, bars_svg, risk_coverage_svg
from lit_vlr.report.gallery import read_gallery
from lit_vlr.report.page import render, write_page
from lit_vlr.report.pooling import mean_curve, read_arms
from lit_vlr.report.runs import PredictionSet, Run, read_runs
from lit_vlr.report.summary import MAX_RISK, Row, Summary, complement, fits_of, labelled, summarize

_SYMBOLS = {"right": "✓", "partly": "◐", "wrong": "✗", "unlabelled": "·"}
_CURVES_TEXT = (
    "Questions enter from the most to the least confident, left to right; lower is better. The marker is what the arm"
    " really did at the threshold in force: how much it answered, and how often that was wrong."
)
_COLUMNS = (
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


def build_report(
    runs: Sequence[Path] | Mapping[str, Sequence[Path]],
    out: Path,
    title: str = "Selective prediction under attack",
    *,
    n_resamples: int = 1000,
) -> Path:
    """Write the report of one or more runs: a self-contained HTML file, and the same table as Markdown beside it.

    The page fetches nothing and runs nothing: styles, figures (SVG) and pictures (data URIs) are inside it. Equal runs
    give equal bytes.

    Args:
        runs: run folders, each with ``predictions/<set>.jsonl`` and perhaps ``gallery/``; each is an arm, named like
            its folder, and the first one is what the others are compared with. Or the folders of each arm by name:
            fits of one arm under several seeds, shown as one.
        out: the HTML file, or a folder for ``report.html``; the Markdown has the same stem.
        title: the heading.
        n_resamples: of the bootstrap; selective accuracy, AURC and coverage at risk, which are slow, get half.

    Returns:
        The HTML file.

    Raises:
        FileNotFoundError: if a run is missing or holds no predictions.
        ValueError: if there is no run, two have the same name, or a set is empty.
        PredictionsFormatError: if a predictions file or a manifest cannot be used.
        GalleryFormatError: if a gallery cannot be used.
    """
    arms = read_arms(runs) if isinstance(runs, Mapping) else read_runs(runs)
    summary = summarize(arms, n_resamples=n_resamples, n_resamples_rows=max(1, n_resamples // 2))
    harms = abstainer.harms(arms, n_resamples)
    page = Path(out) if Path(out).suffix == ".html" else Path(out) / "report.html"
    # Both texts exist before either file does, so that an error leaves no half of a report behind.
    texts = {page: _html(arms, summary, harms, title), page.with_suffix(".md"): _markdown(arms, summary, harms, title)}
    page.parent.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_page(path, text)
    return page


def _html(runs: Sequence[Run], summary: Summary, harms: Sequence[abstainer.Harm], title: str) -> str:
    hues = {arm: 1 + index % len(SERIES) for index, arm in enumerate(summary.arms)}
    shared, varying = _manifests(runs)
    return render(
        "template.html",
        title=title,
        lead=words.LEAD,
        tiles=_tiles(summary, hues),
        headline=words.headline(summary),
        sentences=words.sentences(summary),
        caveat=words.caveat(summary),
        interval_note=words.interval_note(summary),
        columns=_COLUMNS,
        table=_table(summary, hues),
        harms=abstainer.table(harms),
        harms_columns=abstainer.COLUMNS,
        harms_note=abstainer.NOTE,
        trust=trust.rows(runs),
        trust_columns=trust.COLUMNS,
        trust_note=trust.NOTE,
        figures=[*_curve_sections(runs, summary), _bar_section(summary)],
        gallery=read_gallery(runs),
        symbols=_SYMBOLS,
        hues=hues,
        pixel_levels=words.pixel_levels,
        glossary=words.GLOSSARY,
        shared=shared,
        varying=varying,
    )


def _markdown(runs: Sequence[Run], summary: Summary, harms: Sequence[abstainer.Harm], title: str) -> str:
    def line(cells: Sequence[str]) -> str:
        # A pipe in a name would end the cell.
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    def joined(cell: tuple[str, str] | None) -> str:
        return "–" if cell is None else " ".join(cell).strip()

    def table(columns: Sequence[str], rows: Sequence[str]) -> str:
        return "\n".join([line(columns), line(["---"] * 2 + ["---:"] * (len(columns) - 2)), *rows])

    rows = [line([row.set, row.arm, _count(row), *map(joined, _cells(row))]) for row in summary.rows]
    sentences = "\n".join(f"- {sentence}" for sentence in words.sentences(summary))
    answer = " ".join(words.headline(summary))
    parts = [f"# {title}", words.LEAD, answer, words.caveat(summary), table(_COLUMNS, rows)]
    parts += ["## Every comparison in words", sentences]
    if harms:
        rows = [line([harm.set, harm.arm, *map(joined, abstainer.cells(harm))]) for harm in harms]
        parts += ["## What attacks made of right answers", abstainer.NOTE, table(abstainer.COLUMNS, rows)]
    checked = [
        line([group["set"], row["arm"], *map(joined, row["cells"])])
        for group in trust.rows(runs)
        for row in group["rows"]
    ]
    if checked:
        parts += ["## Whether the attacks are to be believed", trust.NOTE, table(trust.COLUMNS, checked)]
    return "\n\n".join(parts) + "\n"


def _tiles(summary: Summary, hues: Mapping[str, int]) -> list[dict[str, Any]]:
    """The headline of each arm: clean to attacked accuracy on the first data set that was attacked, worst first."""
    tiles = []
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
            tiles.append({"arm": arm, "hue": hues[arm], "lines": lines[:3]})
    return tiles


def _table(summary: Summary, hues: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "set": name,
            "rows": [
                {"arm": row.arm, "hue": hues[row.arm], "n": _count(row), "cells": _cells(row)}
                for row in summary.rows
                if row.set == name
            ],
        }
        for name in summary.sets
    ]


def _count(row: Row) -> str:
    return f"{row.n:,}" if row.n_labelled in (0, row.n) else f"{row.n:,} ({row.n_labelled:,} labelled)"


def _cells(row: Row) -> list[tuple[str, str] | None]:
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


def _curve_sections(runs: Sequence[Run], summary: Summary) -> list[dict[str, Any]]:
    """A panel an arm: first clean against attacked, one section a data set; then the data sets against each other."""
    rows = {(row.arm, row.set): row for row in summary.rows}
    # One scale for all panels: an arm must not look better because its axis is longer.
    curves = {
        (run.name, one.name): curve for run in runs for one in run.sets.values() if (curve := _curve(one)) is not None
    }
    if not curves:
        return []
    top = max(max(curve.risk) for curve in curves.values())
    scale = min(1.0, 0.1 * (1 + int(10 * top)))
    groups = [
        (f"Risk against coverage on {data}, clean and attacked", [data, *attacked])
        for data in dict.fromkeys(name.partition("+")[0] for name in summary.sets)
        if (attacked := [name for name in summary.sets if name.startswith(f"{data}+")])
    ]
    clean = [name for name in summary.sets if "+" not in name]
    if len(clean) > 1 or not groups:
        groups.append(("Risk against coverage on clean pictures, in and out of domain", clean or list(summary.sets)))

    sections = []
    for number, (heading, names) in enumerate(groups):
        panels = []
        for index, run in enumerate(runs):
            shown = {name: curves[run.name, name] for name in names if (run.name, name) in curves}
            if shown:
                areas = [f"{name} {row.aurc.value:.3f}" for name in shown if (row := rows[run.name, name]).aurc]
                svg = risk_coverage_svg(
                    list(shown.values()),
                    name=f"curves-{number}-{index}",
                    alt=f"Risk-coverage curves of {run.name}. AURC: {'; '.join(areas)}.",
                    max_risk=scale,
                )
                panels.append({"heading": run.name, "svg": Markup(svg), "caption": f"AURC: {', '.join(areas)}."})
        text = _CURVES_TEXT if number == 0 else "Read like the curves above, on the same scale."
        sections.append({"heading": heading, "text": text, "figures": panels})
    return sections


def _curve(one: PredictionSet) -> Curve | None:
    confidence, correctness = labelled(one.predictions)
    if not len(confidence):
        return None
    fits = fits_of(one)
    by_fit = [risk_coverage_curve(confidence[fits == fit], correctness[fits == fit]) for fit in np.unique(fits)]
    answered = [p.accuracy for p in one.predictions if p.accuracy is not None and not p.abstained]
    point = (len(answered) / len(confidence), 1 - sum(answered) / len(answered)) if answered else None
    return Curve(one.name, *mean_curve(by_fit), point)


def _bar_section(summary: Summary) -> dict[str, Any]:
    """Accuracy and abstention of every set, arms side by side."""
    accuracy: dict[str, dict[str, Interval]] = {arm: {} for arm in summary.arms}
    abstention: dict[str, dict[str, Interval]] = {arm: {} for arm in summary.arms}
    for row in summary.rows:
        abstention[row.arm][row.set] = row.rates.abstention
        if row.rates.accuracy is not None:
            accuracy[row.arm][row.set] = row.rates.accuracy
    panels: list[dict[str, Any]] = []
    for heading, label, values in (
        ("Abstention rate", "Abstention rate (% of questions)", abstention),
        ("Accuracy", "Accuracy (% of questions, abstained or not)", accuracy),
    ):
        if any(values.values()):
            spoken = "; ".join(
                f"{arm}: " + ", ".join(f"{name} {words.percent(value.value)}" for name, value in by_set.items())
                for arm, by_set in values.items()
            )
            name = f"bars-{len(panels)}"
            svg = bars_svg(values, sets=summary.sets, name=name, alt=f"{heading}. {spoken}.", label=label)
            panels.append({"heading": heading, "svg": Markup(svg), "caption": "Whiskers: 95% intervals."})
    text = "An arm that knows when it is wrong abstains more where its accuracy is lower."
    return {"heading": "Set by set", "text": text, "figures": panels}


def _manifests(runs: Sequence[Run]) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """What all manifests agree on, and a table of what they do not."""
    cells = [
        (run.name, one.name, _flat({k: v for k, v in one.manifest.items() if k not in trust.KEYS}))
        for run in runs
        for one in run.sets.values()
    ]
    keys = list(dict.fromkeys(key for _, _, manifest in cells for key in manifest if key not in ("set", "n")))
    varying = [key for key in keys if len({manifest.get(key) for _, _, manifest in cells}) > 1]
    shared = [(key, cells[0][2][key]) for key in keys if key not in varying]
    rows = [
        {"arm": arm, "set": name, "cells": [manifest.get(key, "not recorded") for key in varying]}
        for arm, name, manifest in cells
    ]
    return shared, {"columns": varying, "rows": rows}


def _flat(manifest: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested entries as ``outer.inner``, except the attack, which is one description."""
    flat: dict[str, str] = {}
    for key, value in manifest.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and key != "attack":
            flat |= _flat(value, f"{name}.")
        elif isinstance(value, Mapping):
            flat[name] = ", ".join(f"{k}: {_named(k, v)}" for k, v in value.items()) or "–"
        else:
            flat[name] = _named(key, value)
    return flat


def _named(key: str, value: Any) -> str:  # noqa: ANN401 - straight from JSON
    return words.pixel_levels(value) if key == "eps" and isinstance(value, float) else _plain(value)


def _plain(value: Any) -> str:  # noqa: ANN401 - straight from JSON
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
