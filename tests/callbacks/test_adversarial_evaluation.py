"""AdversarialEvaluation in fit (no_grad) and in validate and test (inference mode)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import seed_everything
from torch import Tensor

from lit_vlr_callbacks import AdversarialEvaluation
from lit_vlr_callbacks.attacks import FGSM, PGD, RandomSearch
from lit_vlr_callbacks.perturbations import Linf, Rotate
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


@pytest.mark.parametrize("attacks", [{}, {"clean": PGD(Linf(0))}])
def test_bad_settings(attacks: dict[str, PGD]) -> None:
    with pytest.raises(ValueError, match="attacks by name, none of them `clean`"):
        AdversarialEvaluation(attacks)
