"""Time of a training step in each mode of adversarial training beside a clean step; `make bench-training`.

Real fits of the embedded model on the same batches. In each round every mode has one short fit, and its mean step is
divided by the clean one of the same round: the median of such paired ratios survives a busy machine. A step is the
attack, the forward and backward pass and the optimiser; loading of data is left out, and so are the first steps of each
fit, with the one batch in fifty that `fgsm_rs` watches. Writes ``benchmarks/results/adversarial_cost.json`` and
``adversarial_cost.md``.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.types import Batch
from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import FGSM, PGD
from lit_vlr_callbacks.perturbations import Linf
from lit_vlr_callbacks.training import Free, Mode, Warm
from scripts.results import machine

SKIPPED = 2
TARGETS = {"standard, PGD-3": 4.2, "free": 1.3}


def pgd(mode: Mode | str, steps: int = 3, **settings: Any) -> Callable[[], AdversarialTraining]:  # noqa: ANN401
    """What makes a callback with PGD; made anew for each fit, since it has state."""
    return lambda: AdversarialTraining(
        PGD(Linf("2/255"), steps=steps, keep_best=False), mode=copy.deepcopy(mode), **settings
    )


MODES: dict[str, Callable[[], AdversarialTraining] | None] = {
    "clean": None,
    "standard, PGD-1": pgd("standard", 1),
    "standard, PGD-2": pgd("standard", 2),
    "standard, PGD-3": pgd("standard"),
    "standard, PGD-3, every 3rd batch": pgd("standard", every_n_batches=3),
    "mixed, PGD-3": pgd("mixed"),
    "trades, PGD-3": pgd("trades"),
    "fgsm_rs": lambda: AdversarialTraining(FGSM(Linf("2/255"), random_start=True), mode="fgsm_rs"),
    "warm, PGD-1": pgd(Warm(index_key="uids"), 1),
    "free": lambda: AdversarialTraining(FGSM(Linf("2/255")), mode="free"),
    "free, by sample": lambda: AdversarialTraining(FGSM(Linf("2/255")), mode=Free(index_key="uids")),
}


class StepTimer(Callback):
    """Wall-clock time of each step; comes before the callbacks that it is to see."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Start."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self._started)


def step_seconds(module: SelectiveVLM, batches: list[Batch], make: Callable[[], AdversarialTraining] | None) -> float:
    """Mean time of a step in one fit over the batches, the first ones left out."""
    timer = StepTimer()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            callbacks=[timer] if make is None else [timer, make()],
        )
        # A copy each: the callback writes its pictures into the batch.
        trainer.fit(module, DataLoader(batches, batch_size=None, collate_fn=copy.copy))  # type: ignore[arg-type]
    return statistics.fmean(timer.seconds[SKIPPED:])


def measure(rows: int, steps: int, rounds: int) -> list[dict[str, Any]]:
    """Medians over rounds of milliseconds and of ratios to the clean step of the same round."""
    half = (0.5, 0.5, 0.5)
    lora = Lora(r=16, alpha=32, dropout=0.0, vision=True)
    family = Llava("tiny-llava", Quantization(bits=4), lora, image_mean=half, image_std=half)
    module = SelectiveVLM(family, SFT(), max_new_tokens=4)
    module.configure_model()
    samples = make_scenes("train", rows * (steps + SKIPPED))
    parts = [samples[i : i + rows] for i in range(0, len(samples), rows)]
    batches = [family.collate(part, [majority(s) for s in part]) for part in parts]
    turns = [{name: step_seconds(module, batches, make) for name, make in MODES.items()} for _ in range(rounds)]
    results = []
    for name in MODES:
        ratios = [turn[name] / turn["clean"] for turn in turns]
        results.append(
            {
                "mode": name,
                "milliseconds": 1e3 * statistics.median(turn[name] for turn in turns),
                "clean_steps": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
                "target": TARGETS.get(name),
            }
        )
    return results


def table(results: list[dict[str, Any]]) -> str:
    """The result as Markdown."""
    lines = ["| mode | ms a step | clean steps | range over rounds | target |", "|---|---|---|---|---|"]
    for row in results:
        steps = row["clean_steps"]
        target = "" if row["target"] is None else f"≤ {row['target']}"
        lines.append(
            f"| {row['mode']} | {row['milliseconds']:.0f} | {steps['median']:.2f} | {steps['min']:.2f} to "
            f"{steps['max']:.2f} | {target} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16, help="of a batch")
    parser.add_argument("--steps", type=int, default=3, help="timed in each fit; a multiple of 3 for every 3rd batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    results = measure(args.rows, args.steps, args.rounds)
    result = {
        "command": "make bench-training",
        "what": "training step of the embedded model (4-bit, LoRA), medians of paired ratios over interleaved fits",
        **{key: getattr(args, key) for key in ("rows", "steps", "rounds", "threads")},
        "machine": machine(),
        "results": results,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (args.out / "adversarial_cost.json").write_text(text, encoding="utf-8")
    (args.out / "adversarial_cost.md").write_text(table(results), encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
