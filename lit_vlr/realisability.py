"""Whether an attacked picture still fools the model once it is a file: written as 8-bit PNG, read the ordinary way."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_vlr.module import SelectiveVLM
from lit_vlr.types import Batch, Prediction
from lit_vlr_callbacks.png import save_png


def read_again(pl_module: SelectiveVLM, batch: Batch, images: Tensor) -> Batch:
    """The batch as the family's own collate function makes it from files of these pictures.

    Args:
        pl_module: the module.
        batch: the questions.
        images: other pictures for them, (B, 3, H, W) in [0, 1].
    """
    with tempfile.TemporaryDirectory() as folder:
        samples = []
        for row, sample in enumerate(batch.samples):
            path = Path(folder) / f"{row}.png"
            save_png(images[row], path)
            samples.append(replace(sample, image=path))
        again = pl_module.family.collate(samples, batch.targets).to(images.device)
    return replace(again, samples=batch.samples)  # the files are gone


@dataclass
class Realisability:
    """Counts over the questions of an attacked set that have labels.

    Attributes:
        n: questions.
        attacked: sum of the accuracies under attack.
        png: the same with the pictures read from files.
        fooled: questions whose accuracy the attack lowered.
        still_fooled: of these, how many have a lowered accuracy with the files too.
        change: the largest change of a pixel in a file, in [0, 1].
    """

    n: int = 0
    attacked: float = 0.0
    png: float = 0.0
    fooled: int = 0
    still_fooled: int = 0
    change: float = 0.0

    def update(
        self, clean: Sequence[Prediction], attacked: Sequence[Prediction], png: Sequence[Prediction], change: float
    ) -> None:
        """Count a batch, each question answered three times; ``change`` is that of its files."""
        self.change = max(self.change, change)
        for before, after, read in zip(clean, attacked, png, strict=True):
            if before.accuracy is None or after.accuracy is None or read.accuracy is None:
                continue
            self.n += 1
            self.attacked += after.accuracy
            self.png += read.accuracy
            if after.accuracy < before.accuracy:
                self.fooled += 1
                self.still_fooled += read.accuracy < before.accuracy

    def summary(self) -> dict[str, Any] | None:
        """For the manifest: mean accuracies and the counts; None where nothing has labels."""
        if not self.n:
            return None
        return {
            "n": self.n,
            "attacked_accuracy": self.attacked / self.n,
            "png_accuracy": self.png / self.n,
            "fooled": self.fooled,
            "still_fooled": self.still_fooled,
            "largest_change": self.change,
        }
