"""AdversarialTraining in real fits: what it changes, and that it changes nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import FGSM, PGD, RandomSearch
from lit_vlr_callbacks.perturbations import Brightness, Compose, Linf, Rotate
from tests.callbacks._modules import Classifier, Pictures, loader, trainer

PGD3 = PGD(Linf("8/255"), keep_best=False)


class Recorder(Classifier):
    """Keeps the pictures it is trained on."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__(dropout)
        self.seen: list[Tensor] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen.append(batch["images"].clone())
        return super().training_step(batch, batch_idx)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert all(torch.equal(first[name], second[name]) for name in first)


def fit(*callbacks: AdversarialTraining, module: Classifier | None = None, **kwargs: Any) -> Classifier:
    seed_everything(0, verbose=False)
    module = module or Classifier()
    trainer(*callbacks, **{"max_epochs": 2, **kwargs}).fit(module, loader(shuffle=True))
    return module


def changes(*callbacks: AdversarialTraining, **kwargs: Any) -> list[Tensor]:
    """|attacked - clean| of each batch of 4 as (4,), the greatest over pixels; data not shuffled."""
    module = Recorder()
    trainer(*callbacks, **kwargs).fit(module, loader())
    clean = Pictures(16).images.split(4) * 10
    return [(seen - images).abs().amax((1, 2, 3)) for seen, images in zip(module.seen, clean, strict=False)]


@pytest.mark.parametrize(
    "attack",
    [
        PGD(Linf(0)),
        PGD(Compose([Rotate(0, 0), Brightness(0, 0), Linf(0)]), restarts=2),
        FGSM(Linf("0/255"), random_start=True),
        RandomSearch(Linf(0), samples=2),
    ],
)
def test_eps_zero_trains_bit_for_bit_like_no_callback(attack: PGD) -> None:
    assert_same(weights(fit(AdversarialTraining(attack))), weights(fit()))


def test_a_real_eps_does_not() -> None:
    attacked, clean = weights(fit(AdversarialTraining(PGD3))), weights(fit())
    assert not torch.equal(attacked["net.5.weight"], clean["net.5.weight"])


def test_same_seed_same_training_and_other_seed_other_training() -> None:
    first, again, other = (weights(fit(AdversarialTraining(PGD3, seed=seed))) for seed in (1, 1, 2))
    assert_same(first, again)
    assert not torch.equal(first["net.5.weight"], other["net.5.weight"])


def test_the_pictures_are_replaced_within_eps_and_are_harder() -> None:
    module = Recorder(dropout=0.0)
    callback = AdversarialTraining(PGD(Linf("8/255")))
    run = trainer(callback)
    run.fit(module, loader())
    clean = Pictures(16).images.split(4)
    for seen, images in zip(module.seen, clean, strict=True):
        assert 0 < (seen.double() - images.double()).abs().max() <= 8 / 255
        assert seen.dtype == torch.float32
        assert not seen.requires_grad
    assert run.callback_metrics["train/adversarial/attack_loss"] > 0


def test_accumulation_equals_the_sum_by_hand() -> None:
    """Two micro-batches of 2: one SGD step on the mean of their adversarial gradients."""

    class Plain(Classifier):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.5)

    module = Plain(dropout=0.0)
    by_hand = copy.deepcopy(module)
    run = trainer(AdversarialTraining(PGD3, seed=3), accumulate_grad_batches=2)
    run.fit(module, loader(n=4, batch_size=2))
    assert run.global_step == 1

    generator = torch.Generator().manual_seed(3)
    for batch in loader(n=4, batch_size=2):
        by_hand.eval().requires_grad_(False)
        attacked = PGD3.attack(
            lambda x, b=batch: by_hand.attack_loss(x, b), batch["images"], generator=generator
        ).images
        by_hand.train().requires_grad_(True)
        (by_hand.attack_loss(attacked, batch).mean() / 2).backward()
    with torch.no_grad():
        for parameter in by_hand.parameters():
            parameter -= 0.5 * parameter.grad
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, by_hand.state_dict()[name], rtol=0, atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"mode": "mixed", "every_n_batches": 3, "warmup_steps": 5}])
def test_a_resumed_run_continues_the_same_stream(tmp_path: Path, settings: dict[str, Any]) -> None:
    def run(module: Classifier, epochs: int, checkpoint: Path | None = None) -> Any:
        t = trainer(AdversarialTraining(PGD3, **settings), max_epochs=epochs)
        t.fit(module, loader(), ckpt_path=checkpoint)
        return t

    start = Classifier(dropout=0.0)
    whole, half, resumed = (copy.deepcopy(start) for _ in range(3))
    run(whole, 4)
    run(half, 2).save_checkpoint(tmp_path / "half.ckpt")
    run(resumed, 4, tmp_path / "half.ckpt")
    assert_same(weights(resumed), weights(whole))
    assert not torch.equal(weights(half)["net.5.weight"], weights(whole)["net.5.weight"])


def test_every_n_batches_counts_over_epochs() -> None:
    attacked = [
        bool(change.max() > 0) for change in changes(AdversarialTraining(PGD3, every_n_batches=3), max_epochs=2)
    ]
    assert attacked == [True, False, False, True, False, False, True, False]


def test_warmup_grows_linearly_with_optimiser_steps() -> None:
    attack = FGSM(Linf(0.1))  # every pixel that can move goes to the corner, so the change is eps
    ramp = changes(AdversarialTraining(attack, warmup_steps=4), max_epochs=2)
    assert [float(c.max()) for c in ramp] == pytest.approx([0, 0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1], abs=1e-6)
    slow = changes(AdversarialTraining(attack, warmup_steps=4), max_epochs=2, accumulate_grad_batches=2)
    assert [float(c.max()) for c in slow] == pytest.approx([0, 0, 0.025, 0.025, 0.05, 0.05, 0.075, 0.075], abs=1e-6)


def test_mixed_mode_attacks_a_share_of_the_rows_not_always_the_same() -> None:
    rows = [tuple((c > 0).tolist()) for c in changes(AdversarialTraining(PGD3, mode="mixed"), max_epochs=3)]
    assert {sum(r) for r in rows} == {2}
    assert len(set(rows)) > 1
    quarter = changes(AdversarialTraining(PGD3, mode="mixed", adversarial_fraction=0.375), max_epochs=8)
    counts = [int((c > 0).sum()) for c in quarter]
    assert set(counts) == {1, 2}  # 1.5 rows of 4: rounded at random


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_the_model_runs_under_the_trainers_precision_and_the_perturbation_does_not(precision: Any) -> None:
    seen: set[tuple[str, bool, torch.dtype]] = set()

    class Watched(Linf):
        def apply(self, images: Tensor, params: Any) -> Tensor:
            seen.add(("perturbation", torch.is_autocast_enabled("cpu"), images.dtype))
            return super().apply(images, params)

    class Watching(Recorder):
        def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
            seen.add(("model", torch.is_autocast_enabled("cpu"), images.dtype))
            return super().attack_loss(images, batch)

    module = Watching()
    trainer(AdversarialTraining(PGD(Watched("8/255"))), precision=precision).fit(module, loader())
    mixed = precision == "bf16-mixed"
    assert seen == {("perturbation", False, torch.float32), ("model", mixed, torch.float32)}
    assert module.seen[0].dtype == torch.float32


def test_lists_are_changed_in_place_and_tuples_refused() -> None:
    class Pairs(Recorder):
        def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
            return nn.functional.cross_entropy(self.net(images), batch[1], reduction="none")

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.seen.append(batch[0])
            return self.attack_loss(batch[0], batch).mean()

    def collate(kind: type, rows: list[dict[str, Tensor]]) -> Any:
        return kind([torch.stack([r["images"] for r in rows]), torch.stack([r["labels"] for r in rows])])

    callback = AdversarialTraining(PGD3, image_key=0)
    module = Pairs()
    trainer(callback).fit(module, loader(collate_fn=lambda rows: collate(list, rows)))
    assert 0 < (module.seen[0] - Pictures(16).images[:4]).abs().max() <= 8 / 255
    with pytest.raises(TypeError, match="changed in place but got tuple; return a list or a dict"):
        trainer(callback).fit(module, loader(collate_fn=lambda rows: collate(tuple, rows)))


def test_two_of_them_in_one_trainer_keep_their_own_state(tmp_path: Path) -> None:
    run = trainer(AdversarialTraining(PGD3), AdversarialTraining(PGD(Brightness()), mode="mixed"))
    run.fit(Classifier(), loader())
    run.save_checkpoint(tmp_path / "two.ckpt")
    saved = torch.load(tmp_path / "two.ckpt", weights_only=False)["callbacks"]
    assert len([key for key in saved if "AdversarialTraining" in key]) == 2


def test_a_module_that_cannot_be_attacked_fails_before_the_first_batch() -> None:
    class Plain(LightningModule):
        def training_step(self, batch: Any, batch_idx: int) -> None:
            raise AssertionError("a batch was read")

        def configure_optimizers(self) -> None:
            return None

    with pytest.raises(TypeError, match="but Plain has none; add one"):
        trainer(AdversarialTraining(PGD3)).fit(Plain(), loader())


class Given(Pictures):
    """Pictures that the callback cannot take."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        sample = super().__getitem__(index)
        return {**sample, "images": self.change(sample["images"])}


class Reduced(Classifier):
    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
        return super().attack_loss(images, batch).mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: (255 * x).byte(), r"torch.uint8; pass images.float\(\) / 255"),
        (lambda x: (x - 0.45) / 0.22, "pass unnormalised pixels and normalise inside the module"),
        (lambda x: x.bfloat16(), r"keep pixels in float32 and cast inside the model, .*`bf16-mixed`"),
    ],
)
@pytest.mark.parametrize("mode", ["standard", "free"])
def test_bad_pictures_are_refused_in_a_fit(change: Callable[[Tensor], Tensor], message: str, mode: str) -> None:
    attack = FGSM(Linf("8/255"))
    with pytest.raises((TypeError, ValueError), match=message):
        trainer(AdversarialTraining(attack, mode=mode)).fit(Classifier(), DataLoader(Given(change), batch_size=4))


def test_a_batch_without_the_key_and_a_reduced_loss_are_refused_in_a_fit() -> None:
    with pytest.raises(ValueError, match=r"has the keys \['images', 'labels'\]; set `image_key`"):
        trainer(AdversarialTraining(PGD3, image_key="pixels")).fit(Classifier(), loader())
    with pytest.raises(
        ValueError, match=r"attack loss per sample of shape \(4,\) but got shape \(\); return it unreduced"
    ):
        trainer(AdversarialTraining(PGD3)).fit(Reduced(), loader())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "mart"}, r"`mode` as one of \['standard', .*'warm'\] or a Mode but got 'mart'"),
        ({"adversarial_fraction": 1.5}, r"`adversarial_fraction` in \[0, 1\]"),
        ({"every_n_batches": 0}, "`every_n_batches` of at least 1"),
        ({"warmup_steps": -1}, "`warmup_steps` of at least 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdversarialTraining(PGD3, **settings)
