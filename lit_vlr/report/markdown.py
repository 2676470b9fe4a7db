"""The report as Markdown: the same answer, tables and figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lit_vlr.report import abstainer, tables, trust, words
from lit_vlr.report.content import Report
from lit_vlr.report.panels import Panel


def markdown(report: Report, figures: Mapping[Panel, str]) -> str:
    """The text of the Markdown file.

    Args:
        report: what is to be said.
        figures: each panel's picture, as a path from the file.
    """

    def line(cells: Sequence[str]) -> str:
        # A pipe in a name would end the cell.
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    def joined(cell: tuple[str, str] | None) -> str:
        return "–" if cell is None else " ".join(cell).strip()

    def table(columns: Sequence[str], rows: Sequence[str]) -> str:
        return "\n".join([line(columns), line(["---"] * 2 + ["---:"] * (len(columns) - 2)), *rows])

    rows = [line([row.set, row.arm, tables.count(row), *map(joined, tables.cells(row))]) for row in report.summary.rows]
    sentences = "\n".join(f"- {sentence}" for sentence in words.sentences(report.summary))
    answer = " ".join(report.answer)
    parts = [f"# {report.title}", words.LEAD, answer, words.caveat(report.summary), table(tables.COLUMNS, rows)]
    parts += ["## Every comparison in words", sentences]
    if report.harms:
        rows = [line([harm.set, harm.arm, *map(joined, abstainer.cells(harm))]) for harm in report.harms]
        parts += ["## What attacks made of right answers", abstainer.NOTE, table(abstainer.COLUMNS, rows)]
    checked = [
        line([group["set"], row["arm"], *map(joined, row["cells"])])
        for group in trust.rows(report.runs)
        for row in group["rows"]
    ]
    if checked:
        parts += ["## Whether the attacks are to be believed", trust.NOTE, table(trust.COLUMNS, checked)]
    for section in report.sections:
        parts += [f"## {section.heading}", section.text]
        parts += [f"![{_escaped(panel.drawing.alt)}]({figures[panel]})" for panel in section.panels]
    return "\n\n".join(parts) + "\n"


def _escaped(alt: str) -> str:
    """A bracket in a name would end the text."""
    return re.sub(r"([\[\]\\])", r"\\\1", " ".join(alt.split()))
