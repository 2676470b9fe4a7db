"""Runs what is missing of a study and writes its figures, short: `make objectives`, `make robust`.

A row an arm: accuracy, AURC and effective reliability at cost 10, clean and under each attack, three seeds together.
Writes ``<out>.md`` with the answer in words, and ``<out>.json`` with every figure of the study's own table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lit_vlr.functional import Interval
from lit_vlr.study.reading import read_plan
from lit_vlr.study.stages import finished
from lit_vlr.study.table import Table, study_table
from lit_vlr.study.words import answer
from lit_vlr.study.write import as_json, figure
from lit_vlr.verbs.study import run_plan
from scripts.results import machine

COLUMNS = {"accuracy": ("accuracy, %", 100, 1), "aurc": ("AURC", 1, 3), "effective_reliability@10": ("Φ10", 1, 3)}


def table(found: Table, sets: Sequence[str]) -> str:
    """A table a set, a row an arm."""
    parts = []
    for name in sets:
        rows = [row for row in found.rows if row.set == name]
        lines = [f"**{name}**", ""]
        lines += [
            f"| arm | n × seeds | {' | '.join(head for head, _, _ in COLUMNS.values())} |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            cells = [figure(row.metrics[key], scale, digits) for key, (_, scale, digits) in COLUMNS.items()]
            lines.append(f"| {row.arm} | {row.n} × {len(row.seeds)} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def compared(found: Table, sets: Sequence[str]) -> str:
    """Each arm over the baseline: ratios of AURC and of the risk among the answered, and the difference in accuracy."""
    lines = [
        f"| set | arm over {found.baseline} | AURC ratio | risk ratio | accuracy, points |",
        "|---|---|---|---|---|",
    ]
    for one in found.arms:
        if one.set in sets:
            ratios = [figure(one.ratios[key], 1, 2) for key in ("aurc", "risk")]
            difference = figure(Interval(*one.differences["accuracy"][:3]), 100, 1)
            lines.append(f"| {one.set} | {one.arm} | {' | '.join(ratios)} | {difference} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, summarise everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--out", type=Path, required=True, help="where to, without a suffix")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    plan, switches = read_plan(["--config", args.study, f"--jobs={args.jobs}"])
    run_plan(plan, switches)
    found = study_table(plan)
    said = answer(found)
    names = dict.fromkeys(row.set for row in found.rows)
    sets = [name for name in names if name.partition("+")[0] == found.home]
    note = (
        "Brackets: 95% bootstrap intervals over pictures, answers under all seeds together. Thresholds for Φ10 are "
        f"chosen on calibration data and frozen. `lit-vlr study --config {args.study}`."
    )
    comparison = [compared(found, list(names))] if found.arms else []
    parts = [" ".join(said), table(found, sets), *comparison, note]
    seconds: dict[str, Any] = {cell.name: finished(cell) for cell in plan.cells}
    document = {"machine": machine(), "seconds": seconds, **json.loads(as_json(found, said))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix(".md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    written = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    args.out.with_suffix(".json").write_text(written, encoding="utf-8")
    print(f"{args.out.with_suffix('.md')}")


if __name__ == "__main__":
    main()
