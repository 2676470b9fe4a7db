"""An ordinary image classifier, trained and tested under attack: `python -m examples.digits`, a quarter of a minute.

`DigitClassifier` is a LightningModule as it stands in anybody's project: it knows nothing of lit_vlr and imports
nothing of it. What it has for the callbacks is one method, ``attack_loss``: the loss of each sample, for pictures it is
given. Everything else is in the list of callbacks of the Trainer. The data are real: 1797 handwritten digits that
scikit-learn ships. Pictures stay in [0, 1] until inside the module, so that eps means what it says.

Trains twice, without and with attacked pictures, and prints what each is worth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

TESTED = 500  # digits that no training sees


# --- somebody's project -----------------------------------------------------------------------------------------------


class Digits(Dataset[dict[str, Tensor]]):
    """Pictures (1, 8, 8) in [0, 1] and what they show."""

    def __init__(self, train: bool) -> None:
        data = load_digits()
        rows = slice(None, -TESTED) if train else slice(-TESTED, None)
        self.images = torch.tensor(data.images[rows] / 16, dtype=torch.float32).unsqueeze(1)
        self.labels = torch.tensor(data.target[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"image": self.images[index], "label": self.labels[index]}


class DigitClassifier(L.LightningModule):
    """Two convolutions with batch norm, dropout, a linear layer."""

    def __init__(self, lr: float = 3e-3) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(64 * 16, 10),
        )
        self.accuracy = MulticlassAccuracy(10, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 10)."""
        logits: Tensor = self.net((images - 0.3) / 0.37)  # normalised inside
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy."""
        return nn.functional.cross_entropy(self(batch["image"]), batch["label"])

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Accuracy."""
        self.accuracy(self(batch["image"]), batch["label"])
        self.log("test/accuracy", self.accuracy)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), self.lr)

    def attack_loss(self, images: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The one thing that the callbacks ask for: the loss of each sample, (B,), without side effects."""
        return nn.functional.cross_entropy(self(images), batch["label"], reduction="none")


# --- and what makes it robust -----------------------------------------------------------------------------------------


def run(adversarial: bool, epochs: int, folder: Path) -> dict[str, float]:
    """Train and test one classifier; returns what the test logs."""
    from lit_vlr_callbacks import AdversarialEvaluation, AdversarialTraining
    from lit_vlr_callbacks.attacks import PGD
    from lit_vlr_callbacks.perturbations import Compose, Linf, Rotate

    threat = Compose([Rotate(-10, 10), Linf("25/255")])
    evaluation = AdversarialEvaluation(
        {"pgd": PGD(Linf("25/255"), steps=10), "rotated": PGD(threat, steps=10, restarts=2)},
        image_key="image",
        png=True,  # and once more as 8-bit PNG files
        pictures=8,
        folder=str(folder / ("adversarial" if adversarial else "standard")),
    )
    training = AdversarialTraining(PGD(threat, steps=3, keep_best=False), image_key="image", warmup_steps=40)
    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[training, evaluation] if adversarial else [evaluation],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    module = DigitClassifier()
    trainer.fit(module, DataLoader(Digits(train=True), batch_size=64, shuffle=True))
    (found,) = trainer.test(module, DataLoader(Digits(train=False), batch_size=250), verbose=False)
    return {key: float(value) for key, value in found.items()}


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Train, test and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("runs/digits"), help="for pictures")
    args = parser.parse_args(arguments)
    started = time.process_time()
    found = {name: run(name == "adversarial", args.epochs, args.folder) for name in ("standard", "adversarial")}
    columns = ("", "/pgd", "/pgd+png", "/rotated", "/rotated+png")
    print("| accuracy, % | clean | PGD-10 | as PNG files | rotated too | as PNG files |\n|---|---|---|---|---|---|")
    for name, metrics in found.items():
        cells = " | ".join(f"{100 * metrics[f'test{column}/accuracy']:.1f}" for column in columns)
        print(f"| {name} | {cells} |")
    print(f"\n{time.process_time() - started:.0f} CPU seconds. Pictures, clean and attacked, are in {args.folder}.")
    return found


if __name__ == "__main__":
    main()
