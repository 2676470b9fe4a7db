"""Peak memory and time of a QLoRA step beside plain transformers and peft; `make bench-memory`.

Both variants load the same random checkpoint in NF4, put the same adapters on the same layers, train the projector too,
and step on the same batch under bfloat16 autocast. *plain* is what the libraries' guides have:
``prepare_model_for_kbit_training``, ``labels`` into the model. Each figure is of a process of its own: resident memory
(CPU) or ``max_memory_allocated`` (CUDA), above what imports take; all weights have been read. In each round every
variant runs once, and ratios are of the same round. Writes ``benchmarks/results/memory.json`` and ``memory.md``; on a
machine with a GPU, 7B-shaped models are measured there too, into ``memory_cuda.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks._memory_shapes import ON_CPU, ON_GPU, SHAPES, save_random
from scripts.results import machine

VARIANTS = ("plain", "lit_vlr")
RECOMPUTE = (False, True)
FIGURES = ("loaded_mib", "load_peak_mib", "peak_mib", "seconds_per_step", "cpu_seconds_per_step")


def run_variant(folder: Path, shape: str, variant: str, recompute: bool, args: argparse.Namespace) -> dict[str, float]:
    """Measure in a new process."""
    given = {
        "folder": str(folder),
        "family": SHAPES[shape]["family"],
        "variant": variant,
        "recompute": recompute,
        **{key: getattr(args, key) for key in ("rows", "side", "steps", "threads", "device")},
    }
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks._memory_worker", json.dumps(given)],
        env={**os.environ, **quiet, "OMP_NUM_THREADS": str(args.threads)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measure(shape: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Medians over rounds, and of the ratios to the plain variant of the same round."""
    with tempfile.TemporaryDirectory() as name:
        folder = save_random(SHAPES[shape], Path(name), torch.device(args.device))
        turns = [
            {
                (variant, recompute): run_variant(folder, shape, variant, recompute, args)
                for recompute, variant in itertools.product(RECOMPUTE, VARIANTS)
            }
            for _ in range(args.rounds)
        ]
    rows = []
    for recompute, variant in itertools.product(RECOMPUTE, VARIANTS):
        found = [turn[variant, recompute] for turn in turns]
        plain = [turn["plain", recompute] for turn in turns]
        losses = {abs(a["first_loss"] - b["first_loss"]) for a, b in zip(found, plain, strict=True)}
        if max(losses) > 0.02 * plain[0]["first_loss"] or found[0]["trained"] != plain[0]["trained"]:
            raise RuntimeError(f"Expected the same work in both variants but got {found[0]} and {plain[0]}")
        row: dict[str, Any] = {"shape": shape, "variant": variant, "recompute": recompute}
        for figure in FIGURES:
            ratios = [a[figure] / b[figure] for a, b in zip(found, plain, strict=True)]
            row[figure] = statistics.median(one[figure] for one in found)
            row[f"{figure}_of_plain"] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
        rows.append({**row, "first_loss": found[0]["first_loss"], "trained": int(found[0]["trained"])})
    return rows


def table(rows: list[dict[str, Any]], clock: str) -> str:
    """The result as Markdown.

    Args:
        rows: of `measure`.
        clock: the figure that times are read from: ``seconds_per_step`` or ``cpu_seconds_per_step``.
    """
    name = "CPU seconds" if clock.startswith("cpu") else "seconds"
    lines = [
        f"| model | activations | variant | loaded, MiB | peak of a step, MiB | of plain | {name} a step | of plain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        peak, step = row["peak_mib_of_plain"], row[f"{clock}_of_plain"]
        lines.append(
            f"| {row['shape']} | {'recomputed' if row['recompute'] else 'kept'} | {row['variant']} | "
            f"{row['loaded_mib']:.0f} | {row['peak_mib']:.0f} | {peak['median']:.2f} | "
            f"{row[clock]:.2f} | {step['median']:.2f} ({step['min']:.2f} to {step['max']:.2f}) |"
        )
    return "\n".join(lines) + "\n"


def write(name: str, shapes: tuple[str, ...], args: argparse.Namespace) -> None:
    """Measure shapes on one device and write the result."""
    rows = [row for shape in shapes for row in measure(shape, args)]
    clock = "seconds_per_step" if args.device == "cuda" else "cpu_seconds_per_step"  # the machine may be busy
    device = {"device": torch.cuda.get_device_name()} if args.device == "cuda" else {"device": "cpu"}
    result = {
        "command": "make bench-memory",
        "what": "QLoRA step (NF4, double quantisation, LoRA on the language model, projector trained) beside plain "
        "transformers and peft; medians, and of paired ratios; a process a figure",
        **{key: getattr(args, key) for key in ("rows", "side", "steps", "rounds", "threads")},
        **device,
        "machine": machine(),
        "results": rows,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (args.out / f"{name}.json").write_text(text, encoding="utf-8")
    (args.out / f"{name}.md").write_text(table(rows, clock), encoding="utf-8")
    print(f"{device['device']}\n{table(rows, clock)}")


def main() -> None:
    """Measure on the CPU, and on a GPU where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4, help="of a batch, on the CPU; 4 times as many on a GPU")
    parser.add_argument("--side", type=int, default=112, help="of the pictures, on the CPU; 336 on a GPU")
    parser.add_argument("--steps", type=int, default=3, help="timed in each process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--shapes", nargs="+", choices=tuple(SHAPES), help="default: by device")
    parser.add_argument("--devices", nargs="+", choices=("cpu", "cuda"), help="default: what there is")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    if args.devices and "cuda" in args.devices and not torch.cuda.is_available():
        parser.error("argument --devices: Expected a CUDA device for cuda but this machine has none; leave it out")
    devices = args.devices or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        gpu = device == "cuda"
        here = argparse.Namespace(**vars(args), device=device)
        if gpu:
            here.rows, here.side = 4 * args.rows, 336
        shapes = tuple(args.shapes or (ON_GPU if gpu else ON_CPU))
        write("memory_cuda" if gpu else "memory", shapes, here)


if __name__ == "__main__":
    main()
