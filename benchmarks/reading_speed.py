"""How long reading VQAv2's validation set takes, and how much memory; `make bench-reading`.

Writes files of its size and shape (214,354 questions on 40,504 pictures, ten answers each, every key that the official
ones have), reads them in processes of their own, and writes ``benchmarks/results/reading_speed.json``. Seconds are
those of `VQAv2.read`; memory is the peak resident set of the whole process, with torch imported.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.results import machine

QUESTIONS, PICTURES = 214_354, 40_504
LIMITS = {"seconds": 12.0, "peak_gb": 1.5}
_WORDS = "what is the color of man woman dog how many people are there on table why does who where which kind".split()
_ANSWERS = [f"{a} {b}".strip() for a in ("yes", "no", "red", "2", "tennis") for b in ("", "ball", "court", "one")]
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from lit_vlr.data.benchmarks import VQAv2
started, worked = time.perf_counter(), time.process_time()
samples = VQAv2.at(Path(sys.argv[1]), "val2014").read()
seconds, cpu = time.perf_counter() - started, time.process_time() - worked
assert len(samples) == int(sys.argv[2]) and all(len(sample.answers) == 10 for sample in samples)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
status = Path("/proc/self/status")
if status.exists():  # Linux passes the parent's ru_maxrss on to what it starts; this is the process's own
    peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_gb": peak / 1e9}))
"""


def write_files(folder: Path, questions: int, pictures: int, seed: int = 0) -> dict[str, int]:
    """Write both files and the empty folder of pictures; returns their sizes in bytes."""
    rng = random.Random(seed)
    asked, said = [], []
    for number in range(questions):
        image, key = 42 + 14 * (number % pictures), 1000 * (number % pictures) + number // pictures
        asked.append({"image_id": image, "question": f"{' '.join(rng.choices(_WORDS, k=6))}?", "question_id": key})
        given = rng.choices([*_ANSWERS, f"thing {number}"], k=10)
        said.append(
            {
                "question_type": "what color is the",
                "multiple_choice_answer": given[0],
                "answers": [
                    {"answer": text, "answer_confidence": "yes", "answer_id": i} for i, text in enumerate(given, 1)
                ],
                "image_id": image,
                "answer_type": "other",
                "question_id": key,
            }
        )
    head: dict[str, Any] = {"info": {"version": "2.0"}, "license": {}, "data_type": "mscoco", "data_subtype": "val2014"}
    documents = {
        "v2_OpenEnded_mscoco_val2014_questions.json": {**head, "task_type": "Open-Ended", "questions": asked},
        "v2_mscoco_val2014_annotations.json": {**head, "annotations": said},
    }
    (folder / "val2014").mkdir(parents=True)
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    return {name: (folder / name).stat().st_size for name in documents}


def measure(folder: Path, questions: int) -> dict[str, float]:
    """Seconds and peak memory of one process that reads the files."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), str(questions)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"Expected the files to be read but the process says: {done.stderr.strip()[-600:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure, write, and say where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "reading_speed.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sizes = write_files(Path(name) / "vqav2", args.questions, min(PICTURES, args.questions))
        runs = [measure(Path(name) / "vqav2", args.questions) for _ in range(args.repeats)]
    worst = {key: round(max(run[key] for run in runs), 3) for key in LIMITS}
    result = {
        "command": "make bench-reading",
        "what": "VQAv2-shaped questions and annotations, a process a run; wall-clock and CPU seconds, peak memory",
        "questions": args.questions,
        "bytes": sizes,
        "limits": LIMITS,
        "machine": machine(),
        "runs": [{key: round(value, 3) for key, value in run.items()} for run in runs],
        "worst": worst,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["runs"], indent=1))
    missed = {key: value for key, value in worst.items() if value > LIMITS[key]}
    if missed:
        raise SystemExit(f"expected at most {LIMITS} but got {missed}")


if __name__ == "__main__":
    main()
