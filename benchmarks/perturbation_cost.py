"""What each perturbation costs, forward and backward; `make bench-perturbations`.

Whatever `lit_vlr_callbacks.perturbations` exports is measured in turn, again and again, beside one bilinear
`grid_sample` of the same pictures, and each time is divided by that of its own turn: the median of such paired ratios
survives a busy machine, which slows a whole turn. Times are of the processor, not of the clock. The gradient goes to
the parameters and, as inside of a `Compose`, to the pictures. Writes ``benchmarks/results/perturbation_cost.json`` and,
as a table, ``perturbation_cost.md``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from kornia.geometry.transform import elastic_transform2d
from torch import Tensor
from torch.nn import functional

import lit_vlr_callbacks.perturbations as exported
from lit_vlr_callbacks.perturbations import Perturbation
from scripts.results import machine

NEEDED: dict[str, dict[str, Any]] = {
    "L0": {"pixels": 100},
    "L1": {"eps": 60},
    "L2": {"eps": 3},
    "Patch": {"height": 50, "width": 50},
    "Typographic": {"words": ["yes", "no"]},
}
"""Arguments of those that have no default, as usual for pictures of some 224 pixels a side."""

UNIT = "grid_sample"
PEER = "kornia elastic_transform2d"


def discover() -> tuple[dict[str, Perturbation], dict[str, str]]:
    """Every exported perturbation, with its default arguments where it has them; what is left out, and why."""
    found, left_out = {}, {}
    for name in exported.__all__:
        kind = getattr(exported, name)
        if not (inspect.isclass(kind) and issubclass(kind, Perturbation)) or inspect.isabstract(kind):
            continue
        parameters = inspect.signature(kind).parameters.values()
        given = NEEDED.get(name, {})
        needed = [p.name for p in parameters if p.default is p.empty and p.name not in given]
        if needed:
            left_out[name] = f"needs {', '.join(needed)}"
        else:
            found[name] = kind(**given)
    return found, left_out


def backward(output: Tensor, leaves: list[Tensor]) -> None:
    """Differentiate an output to its leaves."""
    torch.autograd.grad(output, leaves, torch.ones_like(output), allow_unused=True)


def perturb(perturbation: Perturbation, images: Tensor, params: dict[str, Tensor]) -> None:
    """Forward, and backward to the parameters where these have usable gradients and to the pictures."""
    pixels = images.detach().requires_grad_()
    leaves = {name: value.detach().requires_grad_(perturbation.differentiable) for name, value in params.items()}
    output = perturbation.apply(pixels, leaves)
    if output.requires_grad:
        backward(output, [pixels, *(leaf for leaf in leaves.values() if leaf.requires_grad)])


def sample(images: Tensor, grid: Tensor) -> None:
    """Forward and backward of the unit."""
    pixels, places = images.detach().requires_grad_(), grid.detach().requires_grad_()
    backward(functional.grid_sample(pixels, places, align_corners=True), [pixels, places])


def kornia_elastic(images: Tensor, noise: Tensor) -> None:
    """Forward and backward of Kornia's, which takes noise of the size of the picture."""
    pixels, leaf = images.detach().requires_grad_(), noise.detach().requires_grad_()
    backward(elastic_transform2d(pixels, leaf), [pixels, leaf])


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    call()
    return time.process_time() - started


def measure(batch: int, side: int, repeats: int) -> list[dict[str, Any]]:
    """Medians over turns of milliseconds and of ratios to the unit of the same turn, dearest last."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, side, side, generator=generator)
    grid = 2 * torch.rand(batch, side, side, 2, generator=generator) - 1
    smooth = functional.interpolate(grid[:, :5, :5].movedim(3, 1), (side, side), mode="bilinear").movedim(1, 3)
    perturbations, _ = discover()
    calls: dict[str, Callable[[], object]] = {UNIT: partial(sample, images, smooth)}
    for name, perturbation in perturbations.items():
        params = perturbation.sample(batch, generator, image_shape=tuple(images.shape[1:]))
        calls[name] = partial(perturb, perturbation, images, perturbation.project(params, images))
    calls[PEER] = partial(kornia_elastic, images, grid.movedim(3, 1))
    for call in calls.values():
        call()  # a first call pays for memory, kernels and what is kept a picture size
    turns = [{name: seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    results = []
    for name in calls:
        ratios = [turn[name] / turn[UNIT] for turn in turns]
        known = perturbations.get(name)
        results.append(
            {
                "perturbation": name,
                "settings": repr(known) if known else None,
                "differentiable": known.differentiable if known else True,
                "milliseconds": round(1e3 * statistics.median(turn[name] for turn in turns), 2),
                f"times_{UNIT}": {
                    "median": round(statistics.median(ratios), 2),
                    "min": round(min(ratios), 2),
                    "max": round(max(ratios), 2),
                },
            }
        )
    return sorted(results, key=lambda row: row["milliseconds"])


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown."""
    size = f"{result['batch']} pictures of 3 × {result['side']} × {result['side']}"
    lines = [
        f"Forward and backward of {size}, {result['threads']} thread, medians of {result['repeats']} turns.",
        "",
        f"| perturbation | differentiable | CPU ms | × {UNIT} |",
        "|---|---|---:|---:|",
    ]
    for row in result["results"]:
        answer = "yes" if row["differentiable"] else "searched"
        ratio = row[f"times_{UNIT}"]["median"]
        lines.append(f"| {row['perturbation']} | {answer} | {row['milliseconds']:.1f} | {ratio:.2f} |")
    lines += ["", *(f"Not measured by itself: {name}, which {why}." for name, why in result["left_out"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=336)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "perturbation_cost.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = {
        "command": "make bench-perturbations",
        "what": f"processor time, forward and backward, to parameters and pictures, beside one bilinear {UNIT} in turn",
        "batch": args.batch,
        "side": args.side,
        "repeats": args.repeats,
        "threads": args.threads,
        "left_out": discover()[1],
        "machine": machine(),
        "results": measure(args.batch, args.side, args.repeats),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    args.out.with_suffix(".md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
