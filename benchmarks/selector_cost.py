"""Time of a training step with a selector beside one without; `make bench-selector`.

Forward and backward passes of the embedded model on the same batches, a step with and a step without in turn: the
median of such paired ratios survives a busy machine. ``features`` is what the selector reads (pooled picture, question
and logit statistics); ``selector`` is everything that it adds to a step: features, judging the greedy answers, its own
layers and their backward pass. Writes ``benchmarks/results/selector_cost.json`` and ``selector_cost.md``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lit_vlr.confidence import Selector, SequenceProbability
from lit_vlr.confidence.selector import selector_features
from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.objectives import SFT, TrainSelector
from scripts.results import machine

TARGET = 0.10


def seconds(run: Callable[[], Any]) -> float:
    """Of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """Medians of milliseconds, and of shares of the plain step of the same round."""
    half = (0.5, 0.5, 0.5)
    lora = Lora(r=16, alpha=32, dropout=0.0, vision=True)
    family = Llava("tiny-llava", Quantization(bits=4), lora, image_mean=half, image_std=half)
    family.load(torch.device("cpu"))
    selector, plain, selective = Selector(), SFT(), TrainSelector()
    selector.prepare(family)
    plain.prepare(family, SequenceProbability())
    selective.prepare(family, selector)
    samples = make_scenes("train", rows)
    batch = family.collate(samples, [majority(sample) for sample in samples])

    def step(objective: Any) -> None:  # noqa: ANN401 - an objective
        objective(family(batch), batch).mean().backward()

    with torch.no_grad():
        output = family(batch)

    def features() -> None:
        with torch.no_grad():
            selector_features(output, rows)

    step(plain)
    step(selective)
    turns = [(seconds(lambda: step(plain)), seconds(lambda: step(selective)), seconds(features)) for _ in range(rounds)]
    added = [selective / plain - 1 for plain, selective, _ in turns]
    read = [features / plain for plain, _, features in turns]
    return {
        "rows": rows,
        "rounds": rounds,
        "milliseconds": {
            name: 1e3 * statistics.median(column)
            for name, column in zip(("plain", "selective", "features"), zip(*turns, strict=True), strict=True)
        },
        "features": _spread(read),
        "selector": _spread(added),
        "target": TARGET,
    }


def _spread(shares: list[float]) -> dict[str, float]:
    low, _, high = statistics.quantiles(shares, n=4)
    return {"median": statistics.median(shares), "lower_quartile": low, "upper_quartile": high}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| | share of a plain step | quartiles |", "|---|---|---|"]
    for name in ("features", "selector"):
        share = result[name]
        quartiles = f"{share['lower_quartile']:.1%} to {share['upper_quartile']:.1%}"
        lines.append(f"| {name} | {share['median']:.1%} | {quartiles} |")
    plain = result["milliseconds"]["plain"]
    lines += ["", f"A plain step of {result['rows']} rows takes {plain:.0f} ms; {result['rounds']} paired rounds."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.manual_seed(0)
    result = {"command": "make bench-selector", "machine": machine(), **measure(args.rows, args.rounds)}
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (args.out / "selector_cost.json").write_text(text, encoding="utf-8")
    (args.out / "selector_cost.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
