"""Taking rows out of a batch, and what attacks on modules save by it."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_vlr_callbacks import IsolatedBatches, SurrogateLoss, attack_batch
from lit_vlr_callbacks.attacks import APGD, PGD, Transfer, Universal
from lit_vlr_callbacks.batch import select_rows
from lit_vlr_callbacks.perturbations import Linf
from tests.callbacks._modules import Classifier, Pictures, loader

Pair = namedtuple("Pair", ["x", "y"])
INDEX = torch.tensor([2, 0])


@dataclass(frozen=True)
class Record:
    x: Tensor
    names: tuple[str, ...]
    split: str = "test"


def whole() -> dict[str, Tensor]:
    data = Pictures(16)
    return {"images": data.images, "labels": data.labels}


def test_rows_of_every_kind_of_batch() -> None:
    x = torch.arange(6).view(3, 2)
    found = select_rows({"x": x, "deep": {"y": [x, "note"]}, "uid": ["a", "b", "c"], "n": 7, "none": None}, INDEX, 3)
    assert torch.equal(found["x"], x[INDEX])
    assert torch.equal(found["deep"]["y"][0], x[INDEX])
    assert found["deep"]["y"][1] == "note"
    assert (found["uid"], found["n"], found["none"]) == (["c", "a"], 7, None)
    record = select_rows(Record(x, ("a", "b", "c")), INDEX, 3)
    assert (record.names, record.split) == (("c", "a"), "test")
    assert torch.equal(record.x, x[INDEX])
    pair = select_rows(Pair(x, torch.tensor(0.5)), INDEX, 3)
    assert isinstance(pair, Pair)
    assert torch.equal(pair.x, x[INDEX])
    assert pair.y == 0.5
    assert torch.equal(select_rows([x, x], INDEX, 3)[1], x[INDEX])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": torch.zeros(5, 2)}, r"Expected batch\['x'\] with one entry for each of 3 samples but got \(5, 2\)"),
        ({"uid": ["a", "b"]}, r"Expected batch\['uid'\] .* but got length 2; give the batch a `rows\(index\)`"),
    ],
)
def test_what_belongs_to_no_sample_is_refused(batch: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select_rows(batch, INDEX, 3)


def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier()


def half_way(module: Classifier) -> float:
    """A loss that an attack lifts half of the samples above."""
    return float(attack_batch(module, whole(), APGD(Linf(0.2), steps=10)).loss.median())


def attack(limit: float, early_stop: bool = True) -> APGD:
    return APGD(Linf(0.2), steps=10, success_loss=limit, early_stop=early_stop)


def test_samples_of_a_module_leave_the_batch() -> None:
    module, batch = model(), whole()
    limit = half_way(module)
    early, late = (attack_batch(module, batch, attack(limit, stop)) for stop in (True, False))
    assert early.success is not None
    assert torch.equal(early.success, late.loss > limit)
    assert 0 < early.success.sum() < 16
    assert early.total_passes < late.total_passes == 16 * 11
    torch.testing.assert_close(early.loss[~early.success], late.loss[~early.success], atol=1e-5, rtol=1e-4)


def test_a_batch_that_cannot_be_split_is_attacked_whole_with_a_warning() -> None:
    module, batch = model(), whole()
    limit = half_way(module)
    expected = attack_batch(module, batch, attack(limit))
    with pytest.warns(UserWarning, match=r"go on costing model passes: Expected batch\['weights'\]"):
        found = attack_batch(module, batch | {"weights": torch.ones(3)}, attack(limit))
    torch.testing.assert_close(found.loss, expected.loss)
    assert found.total_passes > expected.total_passes


def test_a_module_may_know_better_how_to_split_its_batch() -> None:
    class Knows(Classifier):
        def select_rows(self, batch: dict[str, Any], index: Tensor) -> dict[str, Any]:
            return {"images": batch["images"][index], "labels": batch["labels"][index]}

    torch.manual_seed(0)
    module, batch = Knows(), whole()
    limit = half_way(module)
    expected = attack_batch(module, batch, attack(limit))
    found = attack_batch(module, batch | {"weights": torch.ones(3)}, attack(limit))
    assert torch.equal(found.loss, expected.loss)
    assert torch.equal(found.passes, expected.passes)


def test_transfer_between_modules() -> None:
    torch.manual_seed(0)
    victim, surrogate = Classifier(), Classifier()
    result = attack_batch(victim, whole(), Transfer(PGD(Linf(0.1)), SurrogateLoss(surrogate)))
    there = attack_batch(surrogate, whole(), PGD(Linf(0.1)))
    assert torch.equal(result.images, there.images)
    with torch.no_grad():
        torch.testing.assert_close(result.loss, victim.eval().attack_loss(result.images, whole()))
    assert not any(parameter.requires_grad for parameter in surrogate.parameters())
    with pytest.raises(TypeError, match="Expected the loss of a LightningModule but got function"):
        Transfer(PGD(Linf(0.1)), SurrogateLoss(surrogate)).attack(lambda x: x.flatten(1).sum(1), torch.rand(1, 3, 8, 8))


def test_a_universal_perturbation_of_a_module() -> None:
    torch.manual_seed(0)
    module = Classifier().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    universal = Universal(Linf(0.2)).fit(IsolatedBatches(module, loader()))
    found = attack_batch(module, whole(), universal)
    with torch.no_grad():
        clean = module.eval().attack_loss(whole()["images"], whole())
    assert found.loss.mean() > clean.mean()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
