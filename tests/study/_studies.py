"""Small studies: plans without files, plans of the embedded model, and predictions as a test would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from lightning.pytorch import Callback
from torch.utils.data import DataLoader

from lit_vlr.datamodule import ScenesDataModule
from lit_vlr.predictions import MANIFEST_KEYS, PredictionWriter
from lit_vlr.scoring.selective import answers_of
from lit_vlr.study.answered import Scored
from lit_vlr.study.plan import Cell
from lit_vlr.types import Batch, Prediction
from tests._tiny import CONFIGS

COMMON = tuple(str(CONFIGS / f"{name}.yaml") for name in ("base", "model/tiny_llava", "data/scenes", "objective/sft"))
SELECTOR = [str(CONFIGS / f"{kind}/selector.yaml") for kind in ("objective", "confidence")]
SIZES = {"train_size": 16, "calibration_size": 8, "test_size": 6, "ood_size": 0, "batch_size": 8}
SHORT = (
    *(f"--data.init_args.{name}={value}" for name, value in SIZES.items()),
    "--trainer.max_steps=1",
    "--trainer.val_check_interval=1",
    "--trainer.enable_progress_bar=false",
)


def rows(
    confidence: Sequence[float], accuracy: Sequence[float], threshold: float, images: Sequence[str] | None = None
) -> list[Prediction]:
    """Predictions by hand, decided by a threshold."""
    pictures = images or [str(i) for i in range(len(confidence))]
    return [
        Prediction(f"u/{i}", picture, "q", "a", c, c < threshold, a)
        for i, (c, a, picture) in enumerate(zip(confidence, accuracy, pictures, strict=True))
    ]


def scored(*columns: Any) -> Scored:
    """The same, as the table takes them."""
    return Scored(answers_of(rows(*columns)), columns[2])


def write_cell(
    cell: Cell,
    sets: Mapping[str, Sequence[Prediction]],
    threshold: float = 0.5,
    eps: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """What a finished cell leaves; of sets that were attacked in L∞, with their ε."""
    for name, predictions in sets.items():
        folder = cell.folder if name == "calibration" else cell.folder / "predictions"
        manifest = dict.fromkeys(MANIFEST_KEYS) | {"set": name, "threshold": threshold, "seed": cell.seed}
        if name in eps:
            manifest |= {"attack": f"PGD over delta -{eps[name]:.4g}..{eps[name]:.4g}", "eps": eps[name]}
        with PredictionWriter(folder / f"{name}.jsonl", manifest) as writer:
            for prediction in predictions:
                writer.write(prediction)
    (cell.folder / "seconds.json").write_text('{"fit": 30, "validate": 5, "test": 10}')


class Breaks(Callback):
    """A fit that fails in its first step."""

    def on_train_batch_start(self, *_: Any) -> None:
        raise RuntimeError("broken on purpose")


class Overlapping(ScenesDataModule):
    """Tests on what thresholds are chosen on."""

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        return [self.val_dataloader()]


def write_plan(path: Path, root: Path, **changes: Any) -> list[str]:
    """A tiny study as a file; returns the command line."""
    plan: dict[str, Any] = {
        "root": str(root),
        "common": list(COMMON),
        "arms": {"sft": {}},
        "attacks": [str(CONFIGS / "attack/eval_linf_pgd.yaml")],
        "overrides": list(SHORT),
        "threshold": {"method": "empirical", "max_risk": 0.9},
        "n_resamples": 50,
    }
    path.write_text(yaml.safe_dump(plan | changes))
    return ["study", "--config", str(path)]
