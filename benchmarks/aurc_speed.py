"""How long AURC of a million answers takes beside one `torch.argsort` of their confidences; `make bench-aurc`.

Everything is timed in turn, again and again, and each time is divided by the argsort of its own turn: the median of
such paired ratios survives a busy machine, which slows a whole turn. Writes ``benchmarks/results/aurc_speed.json``.

The AURC of torch-uncertainty stands beside it where that package is installed (``pip install --no-deps
torch-uncertainty``, or its folder on ``PYTHONPATH``). Its one file is loaded alone, since the package itself imports
much more.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_vlr.functional import aurc
from scripts.results import machine

PEER = "torch-uncertainty"
PEER_FILE = "torch_uncertainty/metrics/classification/risk_coverage.py"
LIMIT = 3.0  # times the argsort


def cases(n: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Confidences and accuracies, (n,) each; confidences of at least 1/2, which the peer reads as they are."""
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + torch.rand(n, generator=generator) / 2
    right = (torch.rand(n, generator=generator) < confidence).float()
    soft = torch.tensor([0.0, 0.3, 0.6, 0.9, 1.0])[torch.randint(5, (n,), generator=generator)]
    return {
        "distinct, 0/1 accuracy": (confidence, right),
        "distinct, soft accuracy": (confidence, soft),
        "1000 values, 0/1 accuracy": ((confidence * 2000).floor() / 2000, right),
    }


def peer() -> tuple[Callable[[Tensor, Tensor], Tensor] | None, str]:
    """AURC of torch-uncertainty for 0/1 accuracies, and its version or why it is absent."""
    try:
        distribution = importlib.metadata.distribution(PEER)
    except importlib.metadata.PackageNotFoundError:
        return None, f"absent: {PEER} is not installed"
    spec = importlib.util.spec_from_file_location("peer_risk_coverage", str(distribution.locate_file(PEER_FILE)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (ImportError, OSError) as error:
        return None, f"absent: {PEER} {distribution.version} cannot be loaded: {error}"

    def value(confidence: Tensor, correctness: Tensor) -> Tensor:
        metric = module.AURC()
        metric.update(confidence, correctness.long())  # class 1 is predicted and means right
        area: Tensor = metric.compute()
        return area

    return value, distribution.version


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure(n: int, repeats: int) -> list[dict[str, Any]]:
    """Medians over turns of seconds and of ratios to the argsort of the same turn, case by case."""
    other, version = peer()
    results = []
    for name, (confidence, correctness) in cases(n).items():
        calls: dict[str, Callable[[], object]] = {
            "argsort": partial(torch.argsort, confidence),
            "lit_vlr": partial(aurc, confidence, correctness),
        }
        if other is not None and "0/1" in name:
            calls[PEER] = partial(other, confidence, correctness)
        for call in calls.values():
            call()  # a first call pays for memory and kernels
        turns = [{key: seconds(call) for key, call in calls.items()} for _ in range(repeats)]
        ratios: dict[str, Any] = {}
        for key in ("lit_vlr", PEER):
            if key in calls:
                ratio = [turn[key] / turn["argsort"] for turn in turns]
                ratios[key] = {"median": statistics.median(ratio), "min": min(ratio), "max": max(ratio)}
                ratios[key] = {end: round(value, 2) for end, value in ratios[key].items()}
            else:
                ratios[key] = "absent: it takes 0/1 accuracies only" if other is not None else version
        milliseconds = {key: round(1e3 * statistics.median(turn[key] for turn in turns), 1) for key in calls}
        results.append({"case": name, "milliseconds": milliseconds, "times_the_argsort": ratios})
    return results


def main() -> None:
    """Measure, write, and say where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1, help="of torch; more make the argsort no faster")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "aurc_speed.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = measure(args.rows, args.repeats)
    result = {
        "command": "make bench-aurc",
        "what": "AURC (mean convention, float32 columns) beside torch.argsort of the confidences, in turn; medians",
        "rows": args.rows,
        "repeats": args.repeats,
        "threads": args.threads,
        "limit_times_the_argsort": LIMIT,
        "peer": f"{PEER}, {peer()[1]}",
        "machine": machine(),
        "results": results,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps({"peer": result["peer"], "results": results}, indent=1))
    slow = [r for r in results if r["times_the_argsort"]["lit_vlr"]["median"] > LIMIT]
    if slow:
        raise SystemExit(f"expected AURC within {LIMIT} argsorts but got {slow}")


if __name__ == "__main__":
    main()
