"""AdversarialEvaluation in fit (no_grad) and in validate and test (inference mode)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import seed_everything
from PIL import Image
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lit_vlr_callbacks import AdversarialEvaluation, attack_batch
from lit_vlr_callbacks.attacks import FGSM, PGD, RandomSearch
from lit_vlr_callbacks.perturbations import Linf, Rotate
from lit_vlr_callbacks.png import load_png, reloaded
from tests.callbacks._modules import Classifier, Pictures, loader, trainer

ATTACKS = {"pgd": PGD(Linf("16/255")), "none": PGD(Linf(0)), "turned": RandomSearch(Rotate(), samples=3)}


@pytest.fixture
def module() -> Classifier:
    seed_everything(0, verbose=False)
    return Classifier()


@pytest.mark.parametrize(("verb", "stage"), [("validate", "val"), ("test", "test")])
def test_logs_the_mean_over_all_samples(module: Classifier, verb: str, stage: str) -> None:
    """17 samples in batches of 4: a mean of batch means would differ."""
    run = trainer(AdversarialEvaluation(ATTACKS))
    (metrics,) = getattr(run, verb)(module, loader(17), verbose=False)
    data = Pictures(17)
    module.eval()
    clean = module.attack_loss(data.images, {"labels": data.labels}).mean().item()
    assert metrics[f"{stage}/clean/attack_loss"] == pytest.approx(clean, rel=1e-5)
    assert metrics[f"{stage}/none/attack_loss"] == pytest.approx(clean, rel=1e-5)
    assert metrics["val/loss"] == pytest.approx(clean, rel=1e-5)  # the module's own metrics stay clean
    assert metrics[f"{stage}/pgd/attack_loss"] > clean + 0.05
    assert metrics[f"{stage}/turned/attack_loss"] > clean


class Still(Classifier):
    """Trains without changing, so that all evaluations are of one model."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, Tensor]] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.net[5].weight.sum()  # no forward pass: the batch norm statistics stay as they are

    def on_train_epoch_end(self) -> None:  # runs after the validation of the epoch
        self.epochs.append(dict(self.trainer.callback_metrics))


def test_fit_validate_and_test_agree_and_epochs_repeat() -> None:
    still = Still()
    run = trainer(AdversarialEvaluation(ATTACKS), max_epochs=2)
    run.fit(still, loader(), loader())
    (validated,) = run.validate(still, loader(), verbose=False)
    (tested,) = run.test(still, loader(), verbose=False)
    assert len(still.epochs) == 2
    for name in ("clean", *ATTACKS):
        expected = tested[f"test/{name}/attack_loss"]
        assert validated[f"val/{name}/attack_loss"] == expected
        assert [float(epoch[f"val/{name}/attack_loss"]) for epoch in still.epochs] == [expected] * 2


def test_it_judges_the_pictures_that_came_out(module: Classifier) -> None:
    """FGSM without ``keep_best`` reports the loss before its step; logged is the one after it."""
    (metrics,) = trainer(AdversarialEvaluation({"fgsm": FGSM(Linf("16/255"))})).validate(
        module, loader(), verbose=False
    )
    assert metrics["val/fgsm/attack_loss"] > metrics["val/clean/attack_loss"] + 0.05


def test_training_is_not_disturbed() -> None:
    def weights(*callbacks: AdversarialEvaluation) -> list[Tensor]:
        seed_everything(0, verbose=False)
        module = Classifier()
        trainer(*callbacks, max_epochs=2).fit(module, loader(shuffle=True), loader())
        return list(module.state_dict().values())

    for attacked, clean in zip(weights(AdversarialEvaluation(ATTACKS)), weights(), strict=True):
        assert torch.equal(attacked, clean)


def test_tuples_are_fine_here(module: Classifier) -> None:
    class Pairs(Classifier):
        def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
            return super().attack_loss(images, {"labels": batch[1]})

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            assert isinstance(batch, tuple)

    def collate(rows: list[dict[str, Tensor]]) -> Any:
        return torch.stack([r["images"] for r in rows]), torch.stack([r["labels"] for r in rows])

    run = trainer(AdversarialEvaluation({"pgd": PGD(Linf("8/255"))}, image_key=0))
    (metrics,) = run.validate(Pairs(), loader(collate_fn=collate), verbose=False)
    assert metrics["val/pgd/attack_loss"] > metrics["val/clean/attack_loss"]


# --- the module's own metrics


class Measured(Classifier):
    """Measures one thing in every way that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.accuracy = MulticlassAccuracy(2, average="micro")
        self.groups = nn.ModuleDict({"all": MetricCollection({"a": MulticlassAccuracy(2, average="micro")})})
        self.by_hand = MulticlassAccuracy(2, average="micro")
        self.outputs: list[Tensor] = []
        self.hooks = 0

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        right = (self.net(batch["images"]).argmax(1) == batch["labels"]).float()
        answers = self.net(batch["images"])
        for metric in (self.accuracy, self.groups["all"], self.by_hand):
            metric.update(answers, batch["labels"])
        self.outputs.append(right)
        self.log("val/mean", right.mean())
        self.log("val/metric", self.accuracy)
        self.log_dict(self.groups["all"])

    def on_validation_epoch_end(self) -> None:
        self.log("val_end", self.by_hand.compute())
        self.log("listed", torch.cat(self.outputs).mean())
        self.by_hand.reset()
        self.outputs.clear()
        self.hooks += 1


WAYS = ("mean", "metric", "a", "end", "listed")


def accuracies(module: Measured, attack: PGD | None, n: int) -> float:
    """By hand: each batch of 4 attacked with one stream of random numbers, every answer counted."""
    module.eval()
    generator = torch.Generator().manual_seed(0)
    right = []
    for batch in loader(n):
        images = batch["images"] if attack is None else attack_batch(module, batch, attack, generator=generator).images
        right.append(module.net(images).argmax(1) == batch["labels"])
    return torch.cat(right).float().mean().item()


def test_what_the_module_measures_is_measured_on_attacked_pictures_too() -> None:
    seed_everything(0, verbose=False)
    module = Measured()
    attack = PGD(Linf("32/255"))
    clean, attacked = accuracies(module, None, 18), accuracies(module, attack, 18)
    assert attacked < clean - 0.1
    (metrics,) = trainer(AdversarialEvaluation({"pgd": attack})).validate(module, loader(18), verbose=False)
    assert [metrics[f"val/pgd/{way}"] for way in WAYS] == pytest.approx([attacked] * 5)
    own = [metrics[key] for key in ("val/mean", "val/metric", "a", "val_end", "listed")]
    assert own == pytest.approx([clean] * 5)  # as they are without the callback
    assert (module.outputs, module.hooks) == ([], 1)
    assert "log" not in vars(module)


def test_metrics_start_anew_with_every_epoch_and_keep_apart_in_a_fit() -> None:
    class StillMeasured(Measured):
        configure_optimizers = Still.configure_optimizers
        training_step = Still.training_step

        def on_train_epoch_end(self) -> None:
            seen.append({k: float(v) for k, v in self.trainer.callback_metrics.items()})

    seen: list[dict[str, float]] = []
    seed_everything(0, verbose=False)
    module = StillMeasured()
    attack = PGD(Linf("32/255"))
    attacked = accuracies(module, attack, 16)
    trainer(AdversarialEvaluation({"pgd": attack}), max_epochs=2).fit(module, loader(), loader())
    for epoch in seen:
        assert [epoch[f"val/pgd/{way}"] for way in WAYS] == pytest.approx([attacked] * 5)


def test_several_loaders_keep_apart(module: Classifier) -> None:
    module = Measured()
    first, second = trainer(AdversarialEvaluation({"pgd": PGD(Linf("32/255"))})).validate(
        module, [loader(8), loader(16)], verbose=False
    )
    assert first["val/pgd/mean/dataloader_idx_0"] == pytest.approx(accuracies(module, PGD(Linf("32/255")), 8))
    assert "val/pgd/mean/dataloader_idx_1" in second


def test_the_step_may_be_left_alone(module: Classifier) -> None:
    (metrics,) = trainer(AdversarialEvaluation({"pgd": PGD(Linf(0.1))}, metrics=False)).validate(
        module, loader(), verbose=False
    )
    assert "val/pgd/attack_loss" in metrics
    assert "val/pgd/loss" not in metrics


# --- pictures


def test_pictures_are_saved_and_judged_as_files_of_eight_bits(module: Classifier, tmp_path: Path) -> None:
    attack = PGD(Linf("16/255"), random_start=False)
    callback = AdversarialEvaluation({"pgd": attack}, png=True, pictures=6)
    (metrics,) = trainer(callback, default_root_dir=tmp_path).test(module, loader(), verbose=False)
    files = {path.name: path for path in (tmp_path / "adversarial/test").iterdir()}
    assert set(files) == {f"{i:05d}_{kind}.png" for i in range(6) for kind in ("clean", "pgd")}

    module.eval()
    losses, read = [], []
    for batch in loader():
        found = attack_batch(module, batch, attack).images
        by_hand = (255 * found).round() / 255
        read.append(by_hand)
        losses.append(module.attack_loss(by_hand, batch).mean().item())
    assert metrics["test/pgd+png/attack_loss"] == pytest.approx(sum(losses) / 4, rel=1e-4)
    assert metrics["test/pgd+png/val/loss"] == pytest.approx(sum(losses) / 4, rel=1e-4)
    assert metrics["test/pgd+png/attack_loss"] > metrics["test/clean/attack_loss"] + 0.05
    for i in range(6):
        pixels = np.asarray(Image.open(files[f"{i:05d}_pgd.png"]))  # Pillow as the oracle of the format
        assert (pixels == (255 * torch.cat(read)[i]).round().byte().permute(1, 2, 0).numpy()).all()
        assert torch.equal(load_png(files[f"{i:05d}_pgd.png"]), torch.cat(read)[i])


def test_grey_pictures_go_through_files_too(tmp_path: Path) -> None:
    grey = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(reloaded(grey), (255 * grey).round() / 255)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attacks": {}}, "attacks by name, none of them `clean`"),
        ({"attacks": {"clean": PGD(Linf(0))}}, "attacks by name, none of them `clean`"),
        ({"attacks": {"a/b": PGD(Linf(0))}}, r"without `/`, not ending in `\+png`, but got \['a/b'\]"),
        ({"attacks": {"a+png": PGD(Linf(0))}}, r"not ending in `\+png`"),
        ({"attacks": ATTACKS, "pictures": -1}, "`pictures` of at least 0 but got -1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdversarialEvaluation(**settings)
