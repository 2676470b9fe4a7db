"""The scenes data module: orders that are pure functions, workers that change nothing, sizes that are checked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from lit_vlr.data.images import load_image
from lit_vlr.data.order import ResumableSampler
from lit_vlr.data.scenes import OOD_SPLITS, make_sample
from lit_vlr.data.splits import k_folds
from lit_vlr.data.targets import majority, sampled
from lit_vlr.datamodule import ScenesDataModule, ScenesDataset
from lit_vlr.errors import UserError
from tests._data import Progress, Standing, Watcher, uids

SMALL = {"train_size": 10, "calibration_size": 5, "test_size": 6, "ood_size": 2, "batch_size": 4, "eval_batch_size": 4}


def data(processed: int = 0, **kwargs: Any) -> ScenesDataModule:
    made = ScenesDataModule(**{**SMALL, **kwargs})
    made.trainer = Standing(processed)
    return made


def order(completed: int, n: int = 10, batch_size: int = 4, seed: int = 0) -> list[int]:
    return list(ResumableSampler(n, batch_size, seed, lambda: completed))


def test_an_epoch_is_a_permutation_and_another_epoch_another_one() -> None:
    epochs = [order(3 * epoch) for epoch in range(4)]  # ten samples are three batches of four
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_the_order_is_a_function_of_seed_and_progress_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = order(3)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert order(3) == first
    assert order(3, seed=1) != first


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_within_an_epoch_it_goes_on_where_it_was(epoch: int, batches: int) -> None:
    assert order(3 * epoch + batches) == order(3 * epoch)[4 * batches :]


def test_one_sampler_follows_the_progress() -> None:
    progress = Progress()
    sampler = ResumableSampler(10, 4, 0, lambda: progress.processed)
    first = list(sampler)
    assert list(sampler) == first
    progress.processed = 3
    assert list(sampler) == order(3) != first
    assert len(sampler) == 10


def test_a_trainer_sees_each_epoch_in_the_order_of_the_sampler() -> None:
    module, made = Watcher(), ScenesDataModule(**SMALL)
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, made)
    expected = [f"scenes/train/{i}" for completed in (0, 3) for i in order(completed)]
    assert [uid for batch in module.seen for uid in batch] == expected
    assert [len(batch) for batch in module.seen] == [4, 4, 2] * 2


@pytest.mark.parametrize("name", ["train_dataloader", "val_dataloader", "predict_dataloader"])
def test_workers_change_nothing(name: str) -> None:
    alone, together = (list(getattr(data(num_workers=n, target="sampled"), name)()) for n in (0, 2))
    assert uids(alone) == uids(together)
    for ours, theirs in zip(alone, together, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert ours.targets == theirs.targets
        for one, other in zip(ours.samples, theirs.samples, strict=True):
            assert (one.question, one.answers, one.metadata) == (other.question, other.answers, other.metadata)


def test_making_batches_leaves_the_global_random_stream_alone() -> None:
    before = torch.get_rng_state()
    list(data().train_dataloader())
    list(data().val_dataloader())
    assert torch.equal(before, torch.get_rng_state())


def test_each_stage_has_its_splits_and_sizes() -> None:
    made = data()
    assert [uid for batch in uids(list(made.val_dataloader())) for uid in batch] == [
        f"scenes/calibration/{i}" for i in range(5)
    ]
    loaders = made.test_dataloader()
    assert made.test_names == ["test", *OOD_SPLITS]
    for name, n, loader in zip(made.test_names, [6, 2, 2, 2, 2], loaders, strict=True):
        assert [uid for batch in uids(list(loader)) for uid in batch] == [f"scenes/{name}/{i}" for i in range(n)]


def test_without_out_of_domain_sets() -> None:
    made = data(ood_size=0)
    assert made.test_names == ["test"]
    assert len(made.test_dataloader()) == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fold_is_left_out_and_is_all_that_is_tested(seed: int) -> None:
    everything = [f"scenes/train/{i}" for i in range(10)]
    held: list[str] = []
    for fold in range(3):
        made = data(folds=3, fold=fold, split_seed=seed)
        assert made.test_names == ["held"]
        (loader,) = made.test_dataloader()
        tested = [sample for batch in loader for sample in batch.samples]
        trained = [sample for batch in made.train_dataloader() for sample in batch.samples]
        assert {s.image_id for s in tested}.isdisjoint(s.image_id for s in trained)
        assert sorted(s.uid for s in (*tested, *trained)) == everything
        assert [s.uid for s in tested] == sorted(s.uid for s in tested)  # in the order of the set
        assert uids(list(made.predict_dataloader())) == uids(list(loader))
        assert made.describe() == f"scenes, seed 0, without fold {fold} of 3, which is the test"
        held += [s.uid for s in tested]
    assert sorted(held) == everything


def test_folds_of_scenes_are_those_of_any_set() -> None:
    expected = k_folds([make_sample("train", i) for i in range(10)], 3, seed=2)
    found = [data(folds=3, fold=fold, split_seed=2).test_dataloader()[0] for fold in range(3)]
    assert [[u for batch in uids(list(one)) for u in batch] for one in found] == [
        [sample.uid for sample in fold] for fold in expected
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, "Expected `data.folds` of at least 2, or 0 for none, but got 1; 5 or 10 are usual"),
        ({"folds": -2}, "Expected `data.folds` of at least 2, or 0 for none, but got -2"),
        ({"folds": 11}, "Expected `folds` from 2 to the number of pictures, 10, but got 11"),
        ({"folds": 3, "fold": 3}, "Expected `data.fold` from 0 to 2 but got 3; folds are counted from 0"),
        ({"split_seed": -1}, "Expected `data.split_seed` of at least 0 but got -1"),
    ],
)
def test_unusable_folds_are_refused(given: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ScenesDataModule(**{**SMALL, **given})


def test_the_seed_of_the_data_is_not_the_seed_of_the_order() -> None:
    first, *_ = data(data_seed=5).val_dataloader()
    assert torch.equal(first.images[0], load_image(make_sample("calibration", 0, seed=5).image))
    assert uids(list(data(order_seed=1).train_dataloader())) != uids(list(data().train_dataloader()))
    assert uids(list(data(data_seed=5).train_dataloader())) == uids(list(data().train_dataloader()))


@pytest.mark.parametrize("target", ["majority", "sampled"])
def test_rows_are_trained_on_the_chosen_answer(target: str) -> None:
    for batch in data(target=target, order_seed=3).train_dataloader():
        choose = majority if target == "majority" else lambda sample: sampled(sample, 3)
        assert batch.targets == tuple(choose(sample) for sample in batch.samples)


@pytest.mark.parametrize("name", ["train_size", "calibration_size", "test_size", "batch_size", "eval_batch_size"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"Expected `data.{name}` of at least 1 but got 0"):
        ScenesDataModule(**{**SMALL, name: 0})


def test_a_negative_out_of_domain_size_is_refused() -> None:
    with pytest.raises(UserError, match=r"Expected `data.ood_size` of at least 0 but got -1; 0 leaves these sets out"):
        ScenesDataModule(ood_size=-1)


def test_without_a_trainer_there_is_no_family_to_lay_out_batches() -> None:
    with pytest.raises(UserError, match="Expected a Trainer"):
        ScenesDataModule(**SMALL).val_dataloader()


def test_a_dataset_ends() -> None:
    dataset = ScenesDataset("test", 2, 0)
    assert [sample.uid for sample in (dataset[0], dataset[1])] == ["scenes/test/0", "scenes/test/1"]
    for outside in (2, -1):
        with pytest.raises(IndexError):
            dataset[outside]
