"""What is left of attacks once their pictures are files: 8-bit PNG, read the ordinary way; `make bench-files`.

A fine-tuned embedded model (a run of `make modes` or `make results`) answers test questions on clean pictures, on
attacked ones as floats, and on the same after each was written to a file and read by the family itself. Writes
``benchmarks/results/realisability.json`` and ``realisability.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.abstainer_attack import batches
from lit_vlr.data.scenes import make_scenes
from lit_vlr.module import SelectiveVLM
from lit_vlr.predictor import load_module
from lit_vlr.realisability import Realisability, read_again
from lit_vlr.types import Sample
from lit_vlr_callbacks import attack_batch
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.batch import read_images
from lit_vlr_callbacks.perturbations import Brightness, Compose, Contrast, Linf, Perturbation, Rotate
from scripts.results import machine

THREATS: dict[str, Perturbation] = {
    "L∞, 1/255": Linf("1/255"),
    "L∞, 1.5/255": Linf("1.5/255"),
    "L∞, 2/255": Linf("2/255"),
    "rotation, contrast, brightness, L∞ 1/255": Compose(
        [Rotate(-1, 1, padding="border"), Contrast(0.97, 1.03), Brightness(-0.016, 0.016), Linf("1/255")]
    ),
}


def measure(module: SelectiveVLM, samples: Sequence[Sample], steps: int) -> list[dict[str, Any]]:
    """A row a threat."""
    rows = batches(module, samples)
    clean = [module.answer(batch) for batch in rows]
    answered = [p.accuracy or 0.0 for answers in clean for p in answers]
    found = []
    for name, threat in THREATS.items():
        counts = Realisability()
        generator = torch.Generator().manual_seed(0)
        for batch, before in zip(rows, clean, strict=True):
            images = attack_batch(module, batch, PGD(threat, steps=steps), generator=generator).images
            files = read_again(module, batch, images)
            change = float((read_images(files, "images") - read_images(batch, "images")).abs().max())
            counts.update(before, module.answer(batch.with_images(images)), module.answer(files), change)
        found.append({"threat": name, "clean_accuracy": sum(answered) / len(answered), **(counts.summary() or {})})
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown: accuracies in percent, the largest change in 255ths."""
    lines = [
        "| threat | clean | attacked | as PNG files | fooled | still fooled as PNG | largest change, /255 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = " | ".join(f"{100 * row[key]:.1f}" for key in ("clean_accuracy", "attacked_accuracy", "png_accuracy"))
        still = f"{row['still_fooled']} ({row['still_fooled'] / max(row['fooled'], 1):.0%})"
        change = round(255 * row["largest_change"])
        lines.append(f"| {row['threat']} | {shares} | {row['fooled']} of {row['n']} | {still} | {change} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/modes/none-0"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--n", type=int, default=128, help="test questions")
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    started = time.process_time()
    module = load_module(args.run / "checkpoints" / "last.ckpt")
    rows = measure(module, make_scenes("test", args.n), args.steps)
    result = {
        "command": "python -m benchmarks.realisability",
        "what": "accuracy under attack, as floats and as 8-bit PNG files read the ordinary way",
        "machine": machine(),
        "cpu_seconds": round(time.process_time() - started, 1),
        "settings": {"run": args.run.name, "attack": f"PGD, {args.steps} steps", "n": args.n},
        "rows": rows,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "realisability.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (args.out / "realisability.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
