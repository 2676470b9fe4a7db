"""Cells of a study: fits and tests made by the command line that a user has, each run once."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

MAIN_JOB = ("base", "model/tiny_llava", "data/scenes", "objective/sft")


def run_cell(
    name: str, configs: Sequence[str], seed: int, folder: Path, fit: bool = True, *more: str
) -> dict[str, float]:
    """Fit (unless the base itself is meant) and test in ``folder``; what is finished is not run again.

    Args:
        name: for the log.
        configs: files under ``configs/``, without suffix, later ones win.
        seed: of the weights and of the order of the data.
        folder: the run's ``default_root_dir``.
        more: further arguments of both verbs.
        fit: False tests the base model.

    Returns:
        Wall-clock seconds of each verb, and under ``<verb>_cpu`` those of its processors, which a busy machine changes
        less.
    """
    timing = folder / "seconds.json"
    seconds: dict[str, float] = json.loads(timing.read_text()) if timing.exists() else {}
    files = [part for config in configs for part in ("--config", f"configs/{config}.yaml")]
    settings = [f"--seed_everything={seed}", f"--data.init_args.order_seed={seed}", *more]
    for verb in ("fit", "test") if fit else ("test",):
        if verb in seconds:
            continue
        tested = [f"--ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"] if verb == "test" and fit else []
        command = [sys.executable, "-m", "lit_vlr.cli", verb, *files, *settings]
        print(f"== {name}: {verb}", flush=True)
        started, before = time.time(), _cpu_seconds()
        subprocess.run([*command, f"--trainer.default_root_dir={folder}", *tested], check=True)
        seconds |= {verb: time.time() - started, f"{verb}_cpu": _cpu_seconds() - before}
        timing.write_text(json.dumps(seconds))
    return seconds


def _cpu_seconds() -> float:
    """Of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
