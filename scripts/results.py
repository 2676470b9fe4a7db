"""The figures of the README: base, standard and adversarial fine-tune over three seeds; `make results`.

Every arm is made by the same command line that a user has. A cell that is finished is not run again, so a killed run
goes on where it stopped. Writes ``benchmarks/results/main_job.json`` and ``main_job.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lit_vlr.functional import aurc, group_bootstrap
from lit_vlr.predictions import read_predictions
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.settings import Promise
from lit_vlr.types import Prediction
from lit_vlr.versions import versions
from scripts.cells import MAIN_JOB, arm_of, run_cells

ARMS = {"base": "attack/eval_linf_pgd", "standard": "attack/eval_linf_pgd", "adversarial": "attack/linf_pgd"}
SETS = (
    "test",
    "test+linf_pgd",
    "test_shuffled",
    "ood_combinations",
    "ood_backgrounds",
    "ood_rephrased",
    "ood_knowledge",
)
ATTACKED = "test+linf_pgd"


def plan_of(root: Path, seeds: Sequence[int]) -> Plan:
    """The study; the base is not trained, so one seed is enough for it. Thresholds are those of the checkpoints."""
    configs = {arm: (*MAIN_JOB, attack, "experiment/results") for arm, attack in ARMS.items()}
    arms = {"base": arm_of(configs.pop("base"), fit=False, seeds=seeds[:1])}
    arms |= {arm: arm_of(names) for arm, names in configs.items()}
    return Plan(root, arms, seeds=tuple(seeds), threshold=Promise("checkpoint"))


def read_cell(cell: Cell) -> dict[str, list[Prediction]]:
    """Its predictions by set."""
    return {name: read_predictions(cell.folder / "predictions" / f"{name}.jsonl") for name in SETS}


def column(cells: Sequence[Sequence[Prediction]], field: str) -> np.ndarray:
    """One field of the same set under several seeds, seed after seed."""
    return np.asarray([float(getattr(p, field)) for predictions in cells for p in predictions])


def interval(values: np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """Mean with a 95% bootstrap interval over pictures; a picture brings its answers under all seeds."""
    found = group_bootstrap("mean", values, groups=groups, n_resamples=2000)
    return {"value": found.value, "low": found.low, "high": found.high}


def summarise(cells: dict[tuple[str, int], dict[str, list[Prediction]]], seeds: Sequence[int]) -> dict[str, Any]:
    """Accuracy, abstention and AURC of every arm and set; what the attack takes, paired by question."""
    arms: dict[str, Any] = {}
    for arm in ARMS:
        have = [s for s in seeds if (arm, s) in cells]
        arms[arm] = {"seeds": have, "sets": {}}
        for name in SETS:
            rows = [cells[arm, s][name] for s in have]
            groups = [p.image_id for predictions in rows for p in predictions]
            arms[arm]["sets"][name] = {
                "n": len(rows[0]),
                "accuracy": interval(column(rows, "accuracy"), groups),
                "accuracy_by_seed": [float(column([r], "accuracy").mean()) for r in rows],
                "abstention_rate": interval(column(rows, "abstained"), groups),
                "aurc_by_seed": [float(aurc(column([r], "confidence"), column([r], "accuracy"))) for r in rows],
            }
        clean, attacked = ([cells[arm, s][name] for s in have] for name in ("test", ATTACKED))
        groups = [p.image_id for predictions in clean for p in predictions]
        arms[arm]["attack_takes"] = interval(column(clean, "accuracy") - column(attacked, "accuracy"), groups)
    pair = [[cells[arm, s]["test"] for s in seeds] for arm in ("standard", "adversarial")]
    groups = [p.image_id for predictions in pair[0] for p in predictions]
    cost = interval(column(pair[0], "accuracy") - column(pair[1], "accuracy"), groups)
    ratio = arms["adversarial"]["attack_takes"]["value"] / arms["standard"]["attack_takes"]["value"]
    return {"arms": arms, "clean_cost": cost, "attack_takes_ratio": ratio}


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        name = next((x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if "model name" in x), name)
    return {"cpu": name, "cores": os.cpu_count(), "python": platform.python_version(), "versions": versions()}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown, in percent and points."""

    def text(v: dict[str, float]) -> str:
        return f"{100 * v['value']:.1f} [{100 * v['low']:.1f}, {100 * v['high']:.1f}]"

    heads = " | ".join(f"{arm}: accuracy" for arm in ARMS)
    lines = [f"| set | n × seeds | {heads} |", "|---|---|" + "---|" * len(ARMS)]
    for name in SETS:
        cells = [result["arms"][a]["sets"][name] for a in ARMS]
        size = f"{cells[1]['n']} × {len(result['arms']['standard']['seeds'])}"
        lines.append(f"| {name} | {size} | " + " | ".join(text(c["accuracy"]) for c in cells) + " |")
    takes = " | ".join(text(result["arms"][a]["attack_takes"]) for a in ARMS)
    lines += [
        f"| **the attack takes, points** | | {takes} |",
        "",
        f"Clean cost of adversarial training: {text(result['clean_cost'])} points. The attack takes "
        f"{result['attack_takes_ratio']:.2f} times as much from the adversarial fine-tune as from the standard one.",
        "",
        "Brackets: 95% bootstrap intervals over pictures, answers under all seeds together. The base has one seed: it "
        "is not trained.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, summarise everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/results"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    plan = plan_of(args.root, args.seeds)
    seconds = run_cells(plan)
    cells = {(cell.arm, cell.seed): read_cell(cell) for cell in plan.cells}
    result = {
        "command": "make results",
        "machine": machine(),
        "seconds": {
            **seconds,
            "total": sum(v[verb] for v in seconds.values() for verb in ("fit", "test") if verb in v),
        },
        "attack": "L∞ PGD, ε = 1.5/255, 10 steps, on the in-domain test set",
        **summarise(cells, args.seeds),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "main_job.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (args.out / "main_job.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
