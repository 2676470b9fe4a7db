"""Everything that a report says, computed once and before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lit_vlr.report import abstainer, words
from lit_vlr.report.gallery import Gallery, read_gallery
from lit_vlr.report.panels import Section, sections
from lit_vlr.report.runs import Run
from lit_vlr.report.summary import Summary, summarize
from lit_vlr.report.sweep import Sweep, sweep


@dataclass(frozen=True)
class Report:
    """What the page and the Markdown file show.

    Attributes:
        title: the heading.
        answer: sentences on top.
        runs: the arms.
        summary: their numbers.
        harms: what attacks did to right answers.
        sections: the figures.
        sweeps: each arm under every threshold.
        gallery: pictures.
    """

    title: str
    answer: tuple[str, ...]
    runs: tuple[Run, ...]
    summary: Summary
    harms: tuple[abstainer.Harm, ...]
    sections: tuple[Section, ...]
    sweeps: tuple[Sweep, ...]
    gallery: Gallery


def compute(runs: Sequence[Run], title: str, answer: Sequence[str] | None, n_resamples: int) -> Report:
    """All of a report.

    Args:
        runs: the arms; the first one is what the others are compared with.
        title: the heading.
        answer: sentences on top; None makes them of the numbers.
        n_resamples: of the bootstrap; what is slow gets half.
    """
    summary = summarize(runs, n_resamples=n_resamples, n_resamples_rows=max(1, n_resamples // 2))
    return Report(
        title=title,
        answer=tuple(words.headline(summary) if answer is None else answer),
        runs=tuple(runs),
        summary=summary,
        harms=tuple(abstainer.harms(runs, n_resamples)),
        sections=tuple(sections(runs, summary)),
        sweeps=tuple(map(sweep, runs)),
        gallery=read_gallery(runs),
    )
