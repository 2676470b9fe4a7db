"""What attacks that know the threshold do to a fine-tuned model that abstains, beside the usual attack on its loss.

Thresholds are chosen on the calibration split of scenes; every attack has the same ε and the same gradient steps; what
it did is judged by the answers that the model generates for the attacked pictures. Writes
``benchmarks/results/abstainer_attack.json`` and ``abstainer_attack.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.functional import cost_threshold, effective_reliability, empirical_threshold
from lit_vlr.module import SelectiveVLM
from lit_vlr.predictor import load_module
from lit_vlr.types import Batch, Prediction, Sample
from lit_vlr_callbacks import attack_batch
from lit_vlr_callbacks.attacks import (
    PGD,
    AbstentionObjective,
    Attack,
    EitherFailure,
    ForceAbstention,
    WrongAndConfident,
)
from lit_vlr_callbacks.perturbations import Linf
from scripts.results import machine

RISK, COST, ROWS = 0.1, 1.0, 64
OBJECTIVES: dict[str, AbstentionObjective] = {
    "wrong and confident": WrongAndConfident(),
    "force abstention": ForceAbstention(),
    "either failure": EitherFailure(cost=COST),
}
COLUMNS = {
    "accuracy": "accuracy",
    "abstention": "abstention",
    "withheld": "right → withheld",
    "wrong": "right → wrong, given",
    "wrong_given": "wrong and given, of all",
}


@dataclass(frozen=True)
class Attacked:
    """What the model says on the attacked pictures.

    Attributes:
        predictions: a question each.
        success: whether the attack thinks that it reached its aim, by its candidates; None where it has no aim.
        passes: forward passes of each sample.
        seconds: of the attack, the answers not included.
    """

    predictions: list[Prediction]
    success: list[bool] | None
    passes: int
    seconds: float


def batches(module: SelectiveVLM, samples: Sequence[Sample]) -> list[Batch]:
    """The questions laid out."""
    starts = range(0, len(samples), ROWS)
    return [
        module.family.collate(chunk, [majority(s) for s in chunk]) for chunk in (samples[i : i + ROWS] for i in starts)
    ]


def run(module: SelectiveVLM, rows: Sequence[Batch], attack: Attack, objective: AbstentionObjective | None) -> Attacked:
    """Attack and answer."""
    generator = torch.Generator().manual_seed(0)
    predictions: list[Prediction] = []
    success: list[bool] = []
    seconds, passes = 0.0, 0
    for batch in rows:
        started = time.perf_counter()
        result = attack_batch(module, batch, attack, generator=generator, objective=objective)
        seconds += time.perf_counter() - started
        passes = result.steps
        predictions += module.answer(batch.with_images(result.images))
        if objective is not None:
            assert result.success is not None
            success += result.success.tolist()
    return Attacked(predictions, success if objective is not None else None, passes, round(seconds, 1))


def measure(
    module: SelectiveVLM, calibration: Sequence[Sample], test: Sequence[Sample], attack: Attack
) -> list[dict[str, Any]]:
    """A row a threshold and attack, the clean pictures first."""
    held = [p for batch in batches(module, calibration) for p in module.answer(batch)]
    confidence, accuracy = columns(held)
    choices = {
        f"risk ≤ {RISK:.0%}": empirical_threshold(confidence, accuracy, RISK).threshold,
        f"best Φ{COST:g}": cost_threshold(confidence, accuracy, COST).threshold,
    }
    rows = batches(module, test)
    clean = [p for batch in rows for p in module.answer(batch)]
    usual = run(module, rows, attack, None)
    found = []
    for name, threshold in choices.items():
        module.threshold.fill_(threshold)
        tried = {"clean": Attacked(clean, None, 0, 0.0), "cross-entropy": usual}
        tried |= {aim: run(module, rows, attack, objective) for aim, objective in OBJECTIVES.items()}
        for aim, attacked in tried.items():
            found.append({"threshold": name, "value": threshold, "attack": aim, **judge(clean, attacked, threshold)})
    return found


def columns(predictions: Sequence[Prediction]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and accuracy."""
    return np.array([p.confidence for p in predictions]), np.array([float(p.accuracy or 0) for p in predictions])


def judge(clean: Sequence[Prediction], attacked: Attacked, threshold: float) -> dict[str, Any]:
    """Shares at a threshold; right is an accuracy above 0, wrong one of 0. Shares of nothing are null."""
    (confidence, accuracy), (now_confidence, now) = columns(clean), columns(attacked.predictions)
    right = (confidence >= threshold) & (accuracy > 0)
    given = now_confidence >= threshold
    confirmed = None
    if attacked.success is not None and any(attacked.success):
        lost = right & ~given | given & (now == 0)
        confirmed = float(lost[np.array(attacked.success)].mean())
    return {
        "n": len(clean),
        "right_and_given": int(right.sum()),
        "accuracy": float(now.mean()),
        "abstention": float((~given).mean()),
        "withheld": float((~given)[right].mean()) if right.any() else None,
        "wrong": float((given & (now == 0))[right].mean()) if right.any() else None,
        "wrong_given": float((given & (now == 0)).mean()),
        "reliability": float(effective_reliability(now_confidence, now, COST, threshold)),
        "claimed": None if attacked.success is None else sum(attacked.success) / len(clean),
        "confirmed": confirmed,
        "passes": attacked.passes,
        "seconds": attacked.seconds,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown: shares in percent."""
    heads = [*COLUMNS.values(), f"Φ{COST:g}", "passes"]
    lines = [f"| threshold | attack | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(heads)]
    for row in rows:
        cells = ["–" if row[key] is None else f"{100 * row[key]:.1f}" for key in COLUMNS]
        said = f"{row['threshold']} ({row['value']:.3f})"
        numbers = " | ".join([*cells, f"{row['reliability']:.3f}", str(row["passes"])])
        lines.append(f"| {said} | {row['attack']} | {numbers} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/results/standard-0"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--n", type=int, default=120, help="test questions")
    parser.add_argument("--calibration", type=int, default=400, help="questions that thresholds are chosen on")
    parser.add_argument("--eps", default="1.5/255")
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    module = load_module(args.run / "checkpoints" / "last.ckpt")
    attack = PGD(Linf(args.eps), steps=args.steps)
    started = time.time()
    rows = measure(module, make_scenes("calibration", args.calibration), make_scenes("test", args.n), attack)
    result = {
        "command": "python -m benchmarks.abstainer_attack",
        "machine": machine(),
        "seconds": round(time.time() - started, 1),
        "settings": {
            "run": args.run.name,
            "model": module.family.describe(),
            "attack": f"PGD, {args.steps} steps, L∞, ε = {args.eps}",
            "n": args.n,
            "calibration": args.calibration,
            "cost": COST,
        },
        "rows": rows,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "abstainer_attack.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (args.out / "abstainer_attack.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
