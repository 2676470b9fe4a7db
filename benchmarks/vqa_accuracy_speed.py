"""How long VQA accuracy takes on a whole benchmark; `make bench-vqa`.

Scores the majority answer of every VizWiz validation question in each dialect, with nothing cached and then again with
the normalised texts of the first pass, and writes ``benchmarks/results/vqa_accuracy_speed.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any, get_args

from lit_vlr.functional import vqa_accuracy
from lit_vlr.functional._vqa_normalization import VQADialect, normalize, strip_punctuation
from lit_vlr.functional.vqa_accuracy import LeaveOneOut
from scripts.results import machine

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "vizwiz_val" / "annotations.json"
LIMIT = 3.0  # seconds


def read(path: Path) -> list[tuple[str, list[str], list[str]]]:
    """Majority answer, answers and their confidences of each question."""
    rows = []
    for annotation in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
        answers = [record["answer"] for record in annotation["answers"]]
        confidences = [record["answer_confidence"] for record in annotation["answers"]]
        rows.append((Counter(answers).most_common(1)[0][0], answers, confidences))
    return rows


def score(
    rows: list[tuple[str, list[str], list[str]]], dialect: VQADialect, leave_one_out: LeaveOneOut
) -> tuple[float, float]:
    """Accuracy in percent and wall-clock seconds of one pass."""
    started = time.perf_counter()
    total = sum(vqa_accuracy(said, answers, dialect, leave_one_out, sure) for said, answers, sure in rows)
    return 100 * total / len(rows), time.perf_counter() - started


def measure(rows: list[tuple[str, list[str], list[str]]], repeats: int) -> list[dict[str, Any]]:
    """Median seconds of every dialect and way of leaving one out, cold and warm."""
    results = []
    for dialect in get_args(VQADialect):
        for leave_one_out in get_args(LeaveOneOut):
            cold, warm, accuracy = [], [], 0.0
            for _ in range(repeats):
                normalize.cache_clear()
                strip_punctuation.cache_clear()
                accuracy, seconds = score(rows, dialect, leave_one_out)
                cold.append(seconds)
                warm.append(score(rows, dialect, leave_one_out)[1])
            results.append(
                {
                    "dialect": dialect,
                    "leave_one_out": leave_one_out,
                    "accuracy": round(accuracy, 2),
                    "seconds_cold": {"median": round(statistics.median(cold), 3), "max": round(max(cold), 3)},
                    "seconds_warm": {"median": round(statistics.median(warm), 3), "max": round(max(warm), 3)},
                }
            )
    return results


def main() -> None:
    """Measure, write, and say where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--annotations", type=Path, default=SHARED, help="VizWiz validation annotations in VQA format")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "vqa_accuracy_speed.json")
    args = parser.parse_args()
    if not args.annotations.is_file():
        parser.error(f"expected the annotations at {args.annotations} but there is no such file; pass --annotations")
    rows = read(args.annotations)
    result = {
        "command": "make bench-vqa",
        "what": "VizWiz validation, majority answer as prediction, one process; wall-clock seconds",
        "questions": len(rows),
        "repeats": args.repeats,
        "limit_seconds": LIMIT,
        "machine": machine(),
        "results": measure(rows, args.repeats),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result["results"], indent=1))
    slow = [r for r in result["results"] if r["seconds_cold"]["max"] > LIMIT]
    if slow:
        raise SystemExit(f"expected every pass within {LIMIT} s but got {slow}")


if __name__ == "__main__":
    main()
