"""Small real things for tests: the embedded model, batches of scenes, command lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.types import Batch

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
MAIN_JOB = ("base", "model/tiny_llava", "data/scenes", "objective/sft", "attack/linf_pgd")


LORA = Lora(dropout=0.0, vision=True)


def family(bits: int = 4, lora: Lora | None = LORA, **kwargs: Any) -> Llava:
    """The embedded model, loaded on the CPU."""
    half = (0.5, 0.5, 0.5)
    made = Llava("tiny-llava", Quantization(bits=bits), lora, image_mean=half, image_std=half, **kwargs)
    made.load(torch.device("cpu"))
    return made


def batch(made: Llava, n: int = 4, split: str = "test", start: int = 0) -> Batch:
    """Scenes laid out for a family."""
    samples = make_scenes(split, start + n)[start:]
    return made.collate(samples, [majority(s) for s in samples])


def arguments(verb: str, run: Path, *more: str, configs: Sequence[str] = MAIN_JOB) -> list[str]:
    """A command line with small sizes."""
    files = [part for name in configs for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
    data = "--data.init_args"
    small = [f"{data}.train_size=64", f"{data}.calibration_size=24", f"{data}.test_size=12", f"{data}.ood_size=4"]
    return [verb, *files, f"--trainer.default_root_dir={run}", *small, f"{data}.batch_size=8", *more]


SHORT = ("--trainer.max_steps=4", "--trainer.val_check_interval=2", "--trainer.enable_progress_bar=false")
