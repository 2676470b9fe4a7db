"""The report: numbers, sentences, figures and pictures put into one HTML file; Markdown and figures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lit_vlr.report import abstainer, provenance, sweep, tables, trust, words
from lit_vlr.report.content import Report, compute
from lit_vlr.report.drawing import SERIES
from lit_vlr.report.markdown import markdown
from lit_vlr.report.page import render, write_bytes, write_page
from lit_vlr.report.pooling import read_arms
from lit_vlr.report.runs import read_runs

_SYMBOLS = {"right": "✓", "partly": "◐", "wrong": "✗", "unlabelled": "·"}


class Written(NamedTuple):
    """What was written.

    Attributes:
        page: the HTML file; the Markdown file has the same stem.
        figures: what each figure is called, and its PNG file; the SVG file lies beside it.
    """

    page: Path
    figures: tuple[tuple[str, Path], ...]


def build_report(
    runs: Sequence[Path] | Mapping[str, Sequence[Path]],
    out: Path,
    title: str = "Selective prediction under attack",
    *,
    n_resamples: int = 1000,
) -> Path:
    """Write the report of one or more runs; see `write_report`, of whose results this is the page."""
    return write_report(runs, out, title, n_resamples=n_resamples).page


def write_report(
    runs: Sequence[Path] | Mapping[str, Sequence[Path]],
    out: Path,
    title: str = "Selective prediction under attack",
    *,
    answer: Sequence[str] | None = None,
    n_resamples: int = 1000,
) -> Written:
    """Write a self-contained HTML file, and beside it the same as Markdown, and ``figures/`` as SVG and PNG.

    The page fetches nothing: styles, figures (SVG), pictures (data URIs) and one short script are inside it. The script
    moves the thresholds; without it everything else is there. Equal runs give equal bytes.

    Args:
        runs: run folders, each with ``predictions/<set>.jsonl`` and perhaps ``gallery/``; each is an arm, named like
            its folder, and the first one is what the others are compared with. Or the folders of each arm by name:
            fits of one arm under several seeds, shown as one.
        out: the HTML file, or a folder for ``report.html``; the Markdown has the same stem, and so have the figures,
            ``figures/<stem>-<name>.svg``.
        title: the heading.
        answer: sentences on top, such as those of a study; None makes them of the numbers.
        n_resamples: of the bootstrap; selective accuracy, AURC and coverage at risk, which are slow, get half.

    Raises:
        FileNotFoundError: if a run is missing or holds no predictions.
        ValueError: if there is no run, two have the same name, or a set is empty.
        UserError: if the sets of a run were answered under different thresholds or by different checkpoints, or two
            fits of an arm have one seed.
        PredictionsFormatError: if a predictions file or a manifest cannot be used.
        GalleryFormatError: if a gallery cannot be used.
    """
    arms = read_arms(runs) if isinstance(runs, Mapping) else read_runs(runs)
    report = compute(arms, title, answer, n_resamples)
    page = Path(out) if Path(out).suffix == ".html" else Path(out) / "report.html"
    panels = [panel for section in report.sections for panel in section.panels]
    names = {panel: f"{page.stem}-{panel.drawing.name}" for panel in panels}
    # Everything exists before any file does, so that an error leaves no half of a report behind.
    figures = {
        page.parent / "figures" / f"{name}.{form}": content
        for panel, name in names.items()
        for form, content in (("svg", panel.drawing.svg()), ("png", panel.drawing.png()))
    }
    links = {panel: f"figures/{name.replace(' ', '%20')}.png" for panel, name in names.items()}
    texts = {page: _html(report), page.with_suffix(".md"): markdown(report, links)}
    page.parent.mkdir(parents=True, exist_ok=True)
    (page.parent / "figures").mkdir(exist_ok=True)
    for path, content in figures.items():
        write_bytes(path, content)
    for path, text in texts.items():
        write_page(path, text)
    said = {panel: f"{section.heading}: {panel.heading}" for section in report.sections for panel in section.panels}
    return Written(page, tuple((said[panel], page.parent / "figures" / f"{names[panel]}.png") for panel in panels))


def _html(report: Report) -> str:
    summary = report.summary
    hues = {arm: 1 + index % len(SERIES) for index, arm in enumerate(summary.arms)}
    shared, varying = provenance.manifests(report.runs)
    return render(
        "template.html",
        script="thresholds.js",
        title=report.title,
        lead=words.LEAD,
        tiles=tables.tiles(summary, hues),
        headline=report.answer,
        sentences=words.sentences(summary),
        caveat=words.caveat(summary),
        interval_note=words.interval_note(summary),
        columns=tables.COLUMNS,
        table=tables.rows(summary, hues),
        harms=abstainer.table(report.harms),
        harms_columns=abstainer.COLUMNS,
        harms_note=abstainer.NOTE,
        trust=trust.rows(report.runs),
        trust_columns=trust.COLUMNS,
        trust_note=trust.NOTE,
        sections=report.sections,
        sweeps=sweep.table(report.sweeps, summary.sets),
        sweep_data=sweep.as_json(report.sweeps),
        several_fits=any(len(one.thresholds) > 1 for one in report.sweeps),
        gallery=report.gallery,
        symbols=_SYMBOLS,
        hues=hues,
        numbers={arm: index for index, arm in enumerate(summary.arms)},
        starts={one.arm: one.thresholds[0][sweep.STEPS] for one in report.sweeps},
        pixel_levels=words.pixel_levels,
        glossary=words.GLOSSARY,
        shared=shared,
        varying=varying,
        files=provenance.files(report.runs),
    )
