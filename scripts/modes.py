"""What each mode of adversarial training buys and costs on the embedded default; `make modes`.

Every mode has the same number of optimiser steps, the same ranges and the same test attack. A cell that is finished is
not run again. Writes ``benchmarks/results/attack_modes.json`` and ``attack_modes.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lit_vlr.predictions import read_predictions
from lit_vlr.study.plan import Plan
from lit_vlr.study.settings import Promise
from lit_vlr.types import Prediction
from scripts.cells import MAIN_JOB, arm_of, run_cells
from scripts.results import column, interval, machine

MODES = {
    "none": "attack/eval_linf_pgd",
    "mixed": "attack/linf_pgd",
    "standard": "attack/standard_pgd",
    "trades": "attack/trades",
    "free": "attack/free",
    "fgsm_rs": "attack/fgsm_rs",
    "warm": "attack/warm_pgd",
}
CLEAN, ATTACKED = "test", "test+linf_pgd"


def summarise(cells: Sequence[dict[str, list[Prediction]]], seconds: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Accuracy on clean and attacked pictures, what the attack takes, and the fit's seconds, over seeds."""
    clean, attacked = ([predictions[name] for predictions in cells] for name in (CLEAN, ATTACKED))
    groups = [p.image_id for predictions in clean for p in predictions]
    before, after = column(clean, "accuracy"), column(attacked, "accuracy")
    return {
        "seeds": len(cells),
        "n": len(clean[0]),
        "clean": interval(before, groups),
        "robust": interval(after, groups),
        "attack_takes": interval(before - after, groups),
        "fit_seconds": float(np.mean([each["fit"] for each in seconds])),
        "fit_cpu_seconds": float(np.mean([each["fit_cpu"] for each in seconds])),
    }


def table(modes: dict[str, Any]) -> str:
    """The result as Markdown, in percent and points."""

    def text(v: dict[str, float]) -> str:
        return f"{100 * v['value']:.1f} [{100 * v['low']:.1f}, {100 * v['high']:.1f}]"

    base = modes["none"]["fit_cpu_seconds"] if "none" in modes else None
    lines = [
        "| mode | clean accuracy | robust accuracy | attack takes | fit, s | fit, CPU s | × none |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in modes.items():
        ratio = f"{row['fit_cpu_seconds'] / base:.1f}" if base else "–"
        figures = " | ".join(text(row[key]) for key in ("clean", "robust", "attack_takes"))
        lines.append(f"| {name} | {figures} | {row['fit_seconds']:.0f} | {row['fit_cpu_seconds']:.0f} | {ratio} |")
    lines += [
        "",
        "Robust: under L∞ PGD, ε = 1.5/255, 10 steps. Brackets: 95% bootstrap intervals over pictures. Seconds are "
        "those of the whole fit, start and final validation included. Compare CPU seconds, as the ratio does: those of "
        "the clock are of a machine that may have done other work. `make bench-training` times the steps alone.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, summarise everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/modes"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("more", nargs="*", help="further arguments of fit and test, after --")
    args = parser.parse_args()
    seeds = " ".join(map(str, args.seeds))
    arms = {mode: arm_of((*MAIN_JOB, MODES[mode], "experiment/modes")) for mode in args.modes}
    overrides = tuple(args.more)
    plan = Plan(args.root, arms, seeds=tuple(args.seeds), overrides=overrides, threshold=Promise("checkpoint"))
    seconds = run_cells(plan)
    modes: dict[str, Any] = {}
    for mode in args.modes:
        own = [cell for cell in plan.cells if cell.arm == mode]
        cells = [
            {name: read_predictions(cell.folder / "predictions" / f"{name}.jsonl") for name in (CLEAN, ATTACKED)}
            for cell in own
        ]
        config = f"configs/{MODES[mode]}.yaml"
        modes[mode] = {"config": config, **summarise(cells, [seconds[cell.name] for cell in own])}
    result = {
        "command": f"python -m scripts.modes --seeds {seeds} --modes {' '.join(args.modes)}",
        "machine": machine(),
        "attack": "L∞ PGD, ε = 1.5/255, 10 steps, on the in-domain test set",
        "modes": modes,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (args.out / "attack_modes.json").write_text(text, encoding="utf-8")
    (args.out / "attack_modes.md").write_text(table(modes), encoding="utf-8")
    print(table(modes))


if __name__ == "__main__":
    main()
