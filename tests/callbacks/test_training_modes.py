"""The modes of AdversarialTraining in real fits: against hand-made steps, and that none leaves a trace."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import FGSM, PGD, Attack, RandomSearch
from lit_vlr_callbacks.perturbations import Brightness, Compose, Linf, Perturbation, Rotate
from lit_vlr_callbacks.training import FGSMRS, TRADES, Free, Mixed, Mode, Schedule, Standard, Warm
from tests.callbacks._modules import Classifier, Pictures, trainer

EPS = 8 / 255


class Indexed(Pictures):
    """Pictures that say which they are."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**super().__getitem__(index), "index": index}


class Comparable(Classifier):
    """Keeps the pictures it is trained on, and counts its forward passes."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__(dropout)
        self.seen: list[Tensor] = []
        self.forwards = 0
        self.net.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.forwards += 1

    def attack_logits(self, images: Tensor, batch: Any) -> Tensor:
        logits: Tensor = self.net(images)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen.append(batch["images"].detach().clone())
        return super().training_step(batch, batch_idx)


class Smooth(Comparable):
    """Without batch norm and dropout; plain SGD."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.net[1] = nn.Identity()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.5)


class Recomputing(Smooth):
    """Smooth, with non-reentrant gradient checkpointing."""

    def attack_loss(self, images: Tensor, batch: Any) -> Tensor:
        logits = checkpoint(self.net, images, use_reentrant=False)
        return nn.functional.cross_entropy(logits, batch["labels"], reduction="none")

    def attack_logits(self, images: Tensor, batch: Any) -> Tensor:
        logits: Tensor = checkpoint(self.net, images, use_reentrant=False)
        return logits


def pgd(threat: Perturbation) -> Attack:
    return PGD(threat, steps=2, keep_best=False)


def rs(threat: Perturbation) -> Attack:
    return FGSM(threat, random_start=True)


MODES: dict[str, tuple[Callable[[], Mode], Callable[[Perturbation], Attack]]] = {
    "standard": (Standard, pgd),
    "mixed": (Mixed, pgd),
    "trades": (TRADES, pgd),
    "free": (Free, FGSM),
    "free, replays": (lambda: Free(replays=2), FGSM),
    "free, by sample": (lambda: Free(index_key="index", keep_file=True), FGSM),
    "fgsm_rs": (lambda: FGSMRS(watch_every=2), rs),
    "warm": (lambda: Warm(keep_file=True), pgd),
}
every_mode = pytest.mark.parametrize("name", MODES)


def made(name: str, threat: Perturbation | None = None, **kwargs: Any) -> AdversarialTraining:
    mode, attack = MODES[name]
    return AdversarialTraining(attack(Linf(EPS) if threat is None else threat), mode=mode(), **kwargs)


def loader(n: int = 16, **kwargs: Any) -> DataLoader[Any]:
    return DataLoader(Indexed(n), **{"batch_size": 4, **kwargs})


def fit(*callbacks: AdversarialTraining, module: Classifier | None = None, **kwargs: Any) -> dict[str, Tensor]:
    seed_everything(0, verbose=False)
    module = module or Comparable()
    trainer(*callbacks, **{"max_epochs": 2, **kwargs}).fit(module, loader(shuffle=True))
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "settings",
    [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}, {"precision": "bf16-true"}],
)
@pytest.mark.parametrize("name", [n for n in MODES if n != "free, replays"])  # other batches than without
def test_eps_zero_trains_bit_for_bit_like_no_callback(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {**settings, "default_root_dir": tmp_path}
    ranges = Linf(0) if settings.get("precision") else Compose([Rotate(0, 0), Brightness(0, 0), Linf(0)])
    assert same(fit(made(name, ranges), **settings), fit(**settings))


@every_mode
def test_a_real_eps_does_not_and_the_same_seed_does_it_again(name: str, tmp_path: Path) -> None:
    first, again = (fit(made(name), default_root_dir=tmp_path) for _ in range(2))
    assert same(first, again)
    assert not torch.equal(first["net.5.weight"], fit()["net.5.weight"])


@every_mode
def test_a_resumed_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    def run(module: Classifier, epochs: int, folder: str, start: Path | None = None) -> Any:
        t = trainer(made(name), max_epochs=epochs, default_root_dir=tmp_path / folder)
        t.fit(module, loader(n=20), ckpt_path=start)
        return t

    start = Classifier if name != "trades" else Comparable
    whole, half, resumed = (copy.deepcopy(m) for m in [start(dropout=0.0)] * 3)
    run(whole, 4, "whole")
    run(half, 2, "half").save_checkpoint(tmp_path / "half.ckpt")
    run(resumed, 4, "half", tmp_path / "half.ckpt")
    assert same(resumed.state_dict(), whole.state_dict())
    assert not torch.equal(half.net[5].weight, whole.net[5].weight)


@every_mode
def test_gradient_checkpointing_changes_nothing(name: str, tmp_path: Path) -> None:
    found = []
    for kind in (Smooth, Recomputing):
        seed_everything(0, verbose=False)
        found.append(fit(made(name), module=kind(), default_root_dir=tmp_path))
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=0, atol=1e-6)


@every_mode
def test_modes_flags_and_frozen_layers_are_left_alone(name: str, tmp_path: Path) -> None:
    module = Comparable()
    module.net[0].requires_grad_(False)
    kernel, method = module.net[0].weight.clone(), module.training_step.__func__
    fit(made(name), module=module, default_root_dir=tmp_path)
    assert torch.equal(module.net[0].weight, kernel)
    assert [p.requires_grad for p in module.parameters()] == [False, False, True, True, True, True]
    assert all(m.training for m in module.modules())
    assert module.training_step.__func__ is method


@pytest.mark.parametrize("name", ["standard", "trades", "free", "fgsm_rs", "warm"])
def test_pictures_stay_within_eps(name: str, tmp_path: Path) -> None:
    module = Comparable(dropout=0.0)
    trainer(made(name), max_epochs=3, default_root_dir=tmp_path).fit(module, loader())
    clean = Pictures(16).images.split(4) * 3
    changes = [(s.double() - c.double()).abs().max() for s, c in zip(module.seen, clean, strict=True)]
    assert max(changes) <= EPS
    assert max(changes) > 0 or name == "trades"  # whose training step sees the clean batch


class Harder(Comparable):
    """Compares the loss of what it is trained on with that of the clean pictures."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.gains: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        assert batch["images"].dtype == torch.bfloat16
        clean = Pictures(16).images.split(4)[batch_idx].bfloat16()
        with torch.no_grad():
            gain = self.attack_loss(batch["images"], batch) - self.attack_loss(clean, batch)
            self.gains.append(float(gain.float().mean()))
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("name", ["standard", "mixed", "free", "free, replays", "fgsm_rs", "warm"])
def test_true_half_precision_keeps_eps_and_still_makes_pictures_harder(name: str, tmp_path: Path) -> None:
    module = Harder()
    run = trainer(made(name), max_epochs=2, precision="bf16-true", default_root_dir=tmp_path)
    run.fit(module, loader())
    clean = [picture.bfloat16().double() for picture in Pictures(16).images.split(4)]
    if name == "free, replays":
        clean = [clean[0], clean[0], clean[2], clean[2]]
    changes = [(s.double() - c).abs().max() for s, c in zip(module.seen, clean * 2, strict=True)]
    assert 0 < max(changes) <= EPS
    if name != "free, replays":  # which is trained on other batches than `Harder` looks at
        assert sum(module.gains) > 0


def test_free_is_one_pass_a_batch_and_moves_delta_along_its_gradient() -> None:
    module = Smooth()
    by_hand = copy.deepcopy(module)
    trainer(made("free")).fit(module, loader())
    assert module.forwards == 4
    delta = torch.zeros(4, 3, 8, 8)
    for batch, seen in zip(loader(), module.seen, strict=True):
        clean = batch["images"]
        delta = (clean + delta).clamp(0, 1) - clean  # what the last batch left, within the bounds of this one's pixels
        leaf = (clean + delta).requires_grad_()
        torch.testing.assert_close(seen, leaf.detach(), rtol=0, atol=1e-6)
        by_hand.zero_grad()
        by_hand.attack_loss(leaf, batch).mean().backward()
        delta = (delta + EPS * leaf.grad.sign()).clamp(-EPS, EPS)
        delta = (clean + delta).clamp(0, 1) - clean
        with torch.no_grad():
            for parameter in by_hand.parameters():
                parameter -= 0.5 * parameter.grad
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, by_hand.state_dict()[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("every", [1, 2])
def test_free_replays_each_window_of_batches(every: int) -> None:
    module = Smooth()
    callback = AdversarialTraining(FGSM(Linf(1e-4)), mode=Free(replays=2))
    trainer(callback, accumulate_grad_batches=every).fit(module, loader())
    clean = torch.stack(Pictures(16).images.split(4))
    which = [int((clean - s).flatten(1).abs().amax(1).argmin()) for s in module.seen]
    assert which == ([0, 0, 2, 2] if every == 1 else [0, 1, 0, 1])


def kl(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    p = p_logits.softmax(1)
    return (p * (p.log() - q_logits.softmax(1).log())).sum(1)


def test_trades_equals_the_step_by_hand() -> None:
    module = Smooth()
    by_hand = copy.deepcopy(module)
    attack = PGD(Linf(EPS), steps=3, keep_best=False)
    trainer(AdversarialTraining(attack, mode=TRADES(beta=3.0), seed=5)).fit(module, loader(n=4))
    batch = next(iter(loader(n=4)))
    clean = batch["images"]
    with torch.no_grad():
        fixed = by_hand.net(clean)
    generator = torch.Generator().manual_seed(5)
    attacked = attack.attack(lambda x: kl(fixed, by_hand.net(x)), clean, generator=generator).images
    by_hand.zero_grad()
    loss = by_hand.attack_loss(clean, batch).mean() + 3 * kl(by_hand.net(clean), by_hand.net(attacked)).mean()
    loss.backward()
    for mine, theirs in zip(module.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs - 0.5 * theirs.grad, rtol=0, atol=1e-5)


def test_trades_logs_its_divergence_and_keeps_running_statistics_of_clean_pictures_only() -> None:
    module = Comparable(dropout=0.0)
    alone = copy.deepcopy(module)
    run = trainer(made("trades"))
    run.fit(module, loader(n=4))
    trainer().fit(alone, loader(n=4))
    assert run.callback_metrics["train/adversarial/divergence"] > 0
    assert torch.equal(module.net[1].running_mean, alone.net[1].running_mean)
    assert int(module.net[1].num_batches_tracked) == 1


def test_trades_takes_the_loss_of_a_dict_and_skips_a_skipped_step() -> None:
    class Dicts(Comparable):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return None if batch_idx == 1 else {"loss": super().training_step(batch, batch_idx), "other": 1}

    module = Dicts()
    trainer(made("trades")).fit(module, loader())
    assert len(module.seen) == 3
    # The search: one pass on the clean pictures and two steps. Then the step itself and both sides of the divergence.
    assert module.forwards == 4 * 3 + 3 * (1 + 2)


def test_warm_starts_where_the_sample_was_left(tmp_path: Path) -> None:
    class Frozen(Smooth):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    module = Frozen()
    attack = PGD(Linf(EPS), steps=1, step_size=0.25, random_start=False, keep_best=False)
    callback = AdversarialTraining(attack, mode="warm")
    trainer(callback, max_epochs=5, default_root_dir=tmp_path).fit(module, loader(shuffle=True))
    ways = []
    for epoch in range(5):
        change = torch.cat(module.seen[4 * epoch : 4 * epoch + 4]).unsqueeze(1) - Pictures(16).images
        ways.append(float(change.flatten(2).abs().amax(2).amin(1).max()) / EPS)
    # A quarter of eps an epoch, then the wall; what is kept is exact to 1/255 of eps a time.
    assert ways == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0], abs=3 / 255)
    assert not list(tmp_path.rglob("*.params"))  # the fit is finished


def test_fgsm_rs_warns_once_of_catastrophic_overfitting() -> None:
    # PGD beats a step without effect by more than a ten-thousandth.
    tiny = FGSM(Linf(0.2), step_size=1e-6, random_start=True)
    run = trainer(AdversarialTraining(tiny, mode=FGSMRS(watch_every=1, watch_ratio=1.0001)), max_epochs=2)
    with pytest.warns(UserWarning, match="Catastrophic overfitting") as warned:
        run.fit(Comparable(), loader())
    assert len([w for w in warned if "Catastrophic" in str(w.message)]) == 1
    metrics = run.callback_metrics
    assert metrics["train/adversarial/pgd_loss"] > metrics["train/adversarial/fgsm_loss"]


def test_watching_changes_no_training() -> None:
    def watched(every: int) -> dict[str, Tensor]:
        return fit(AdversarialTraining(rs(Linf(EPS)), mode=FGSMRS(watch_every=every)))

    assert same(watched(1), watched(100))


def test_schedules_of_eps_and_steps() -> None:
    module = Smooth()
    callback = AdversarialTraining(
        PGD(Linf(EPS), steps=9, random_start=False, keep_best=False, step_size=1.0),
        eps_schedule=Schedule(start=0.0, end=1.0, steps=2),
        steps_schedule=Schedule(start=1, end=3, steps=2),
    )
    trainer(callback).fit(module, loader())
    ways = [float((s - c).abs().max()) for s, c in zip(module.seen, Pictures(16).images.split(4), strict=True)]
    assert ways == pytest.approx([0, EPS / 2, EPS, EPS], abs=1e-6)
    assert module.forwards == 4 + (1 + 2 + 3 + 3)
    assert callback.attack.steps == 9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schedule(steps=-1), "`steps` of a schedule of at least 0 but got -1"),
        (lambda: Schedule(kind="step"), "`kind` as 'linear', 'cosine' or 'constant' but got 'step'"),
        (lambda: made("standard", eps_schedule=Schedule(end=1.5)), r"`eps_schedule` in \[0, 1\]"),
        (lambda: made("standard", warmup_steps=2, eps_schedule=Schedule()), "but got both"),
        (lambda: made("standard", steps_schedule=Schedule(start=0, end=2)), "`steps_schedule` of at least 1"),
        (
            lambda: AdversarialTraining(RandomSearch(Linf(0.1)), steps_schedule=Schedule(start=1, end=2)),
            "attack with steps",
        ),
        (lambda: made("free", every_n_batches=2), "`every_n_batches: 1` in mode 'free'"),
        (lambda: Free(replays=0), "`replays` of at least 1"),
        (lambda: TRADES(beta=-1), "`beta` of at least 0"),
        (lambda: FGSMRS(watch_every=0), "`watch_every` and `watch_steps` of at least 1"),
        (lambda: FGSMRS(watch_ratio=1), "`watch_ratio` above 1"),
        (lambda: Warm(max_gigabytes=0), "`max_gigabytes` above 0"),
    ],
)
def test_bad_settings(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


class ByHand(Comparable):
    automatic_optimization = False


class Detached(Comparable):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.attack_loss(batch["images"].detach(), batch).mean()


@pytest.mark.parametrize(
    ("mode", "attack", "module", "message"),
    [
        ("trades", PGD(Linf(EPS)), Classifier(), "`attack_logits"),
        ("trades", PGD(Linf(EPS), random_start=False), Comparable(), "`random_start: true` in mode 'trades'"),
        ("trades", PGD(Linf(EPS)), ByHand(), "automatic optimisation in mode 'trades'"),
        ("free", PGD(Linf(EPS)), Comparable(), "FGSM with `random_start: false` in mode 'free'"),
        ("free", FGSM(Linf(EPS)), ByHand(), "automatic optimisation in mode 'free'"),
        ("free", FGSM(Linf(EPS)), Detached(), "depends on batch\\['images'\\] but its loss has no gradient"),
        ("fgsm_rs", FGSM(Linf(EPS)), Comparable(), "FGSM with `random_start: true` in mode 'fgsm_rs'"),
        ("warm", PGD(Linf(EPS), restarts=2), Comparable(), "FGSM without restarts in mode 'warm'"),
        ("warm", RandomSearch(Linf(EPS)), Comparable(), "but got RandomSearch"),
        (Warm("name"), PGD(Linf(EPS)), Comparable(), r"Expected batch\['name'\] to tell one sample from another"),
        (Warm("images"), PGD(Linf(EPS)), Comparable(), "of integers or texts but got list"),
    ],
)
def test_what_does_not_go_together_is_refused(
    mode: Mode | str, attack: Attack, module: LightningModule, message: str, tmp_path: Path
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        trainer(AdversarialTraining(attack, mode=mode), default_root_dir=tmp_path).fit(module, loader())
