"""LightningDataModules: which samples each stage sees, in an order that a resumed run repeats."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Subset

from lit_vlr.data.loading import Target, TaskCollate
from lit_vlr.data.order import ResumableSampler
from lit_vlr.data.scenes import OOD_SPLITS, Split, make_sample
from lit_vlr.data.splits import HELD, check_fold, folds_of_keys
from lit_vlr.errors import UserError
from lit_vlr.types import Batch, Sample


class ScenesDataset(Dataset[Sample]):
    """Scenes drawn when asked for; sample i is the same in any process and order."""

    def __init__(self, split: Split, n: int, seed: int) -> None:
        self.split, self.n, self.seed = split, n, seed

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.n:
            raise IndexError(index)
        return make_sample(self.split, index, self.seed)


class ScenesDataModule(LightningDataModule):
    """The embedded data set: train, calibration (as validation), test and the out-of-domain splits (as test sets).

    Args:
        train_size: training questions.
        calibration_size: questions that validation scores and thresholds are fitted on; never trained on.
        test_size: in-domain test questions.
        ood_size: questions in each of the four out-of-domain sets; 0 leaves them out.
        folds: cut the training set into so many parts and leave one out, for learning from peers; 0 does not.
        fold: which part is left out; it becomes the only test set, ``held``, so that ``predictions/held.jsonl`` holds
            answers of a model that never saw these pictures.
        batch_size: rows a training batch.
        eval_batch_size: rows elsewhere; it changes no result.
        target: train on the ``majority`` answer, or on one ``sampled`` by annotator votes.
        num_workers: processes that draw and collate.
        data_seed: of the data set itself; 0 is the one that the figures in the README are from.
        split_seed: of the folds.
        order_seed: of the training order.

    Raises:
        UserError: if a size is negative, a batch size is not positive, or there are no such folds.
    """

    name = "scenes"

    def __init__(
        self,
        train_size: int = 8000,
        calibration_size: int = 500,
        test_size: int = 500,
        ood_size: int = 250,
        folds: int = 0,
        fold: int = 0,
        batch_size: int = 32,
        eval_batch_size: int = 64,
        target: Target = "majority",
        num_workers: int = 0,
        data_seed: int = 0,
        split_seed: int = 0,
        order_seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"train_size": train_size, "calibration_size": calibration_size, "test_size": test_size}
        for key, size in {**sizes, "batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if size < 1:
                raise UserError(f"Expected `data.{key}` of at least 1 but got {size}")
        for key, seed in {"data_seed": data_seed, "split_seed": split_seed, "order_seed": order_seed}.items():
            if seed < 0:
                raise UserError(f"Expected `data.{key}` of at least 0 but got {seed}")
        if ood_size < 0:
            raise UserError(f"Expected `data.ood_size` of at least 0 but got {ood_size}; 0 leaves these sets out")
        check_fold(folds, fold)
        self.sizes = sizes
        self.folds, self.fold = folds, fold
        # Each scene is a picture of its own, called by its number: nothing is drawn to cut the set.
        pictures = [("", str(index)) for index in range(train_size)]
        self._folds = folds_of_keys(pictures, folds, split_seed) if folds else []
        self.ood_size = ood_size
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.target: Target = target
        self.num_workers = num_workers
        self.data_seed, self.order_seed = data_seed, order_seed

    @property
    def test_names(self) -> list[str]:
        """The test sets, in the order of the test loaders."""
        return [HELD] if self.folds else ["test", *(OOD_SPLITS if self.ood_size else ())]

    def describe(self) -> str:
        """The data in a few words, for manifests."""
        held = f", without fold {self.fold} of {self.folds}, which is the test" if self.folds else ""
        return f"scenes, seed {self.data_seed}{held}"

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training batches, in an order of (order_seed, batches completed)."""
        dataset = self._training()
        sampler = ResumableSampler(len(dataset), self.batch_size, self.order_seed, self._batches_completed)
        return self._loader(dataset, self.batch_size, sampler=sampler)

    def _training(self, held: bool = False) -> ScenesDataset | Subset[Sample]:
        """The training set; with folds, what is not left out of it, or what is."""
        whole = ScenesDataset("train", self.sizes["train_size"], self.data_seed)
        if not self.folds:
            return whole
        parts = [places for fold, places in enumerate(self._folds) if (fold == self.fold) == held]
        return Subset(whole, [place for places in parts for place in places])

    def _batches_completed(self) -> int:
        """Of the whole run; ``processed`` rather than ``completed``: a checkpoint may be saved between the two."""
        assert self.trainer is not None
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.total
        return int(progress.processed)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The calibration split."""
        return self._loader(ScenesDataset("calibration", self.sizes["calibration_size"], self.data_seed))

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """In-domain and out-of-domain sets; with folds, the one left out."""
        if self.folds:
            return [self._loader(self._training(held=True))]
        ood = [ScenesDataset(split, self.ood_size, self.data_seed) for split in OOD_SPLITS if self.ood_size]
        return [self._loader(d) for d in (ScenesDataset("test", self.sizes["test_size"], self.data_seed), *ood)]

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The first test set."""
        return self.test_dataloader()[0]

    def _loader(self, dataset: Dataset[Sample], batch_size: int | None = None, **kwargs: Any) -> DataLoader[Batch]:  # noqa: ANN401
        if self.trainer is None:
            raise UserError("Expected a Trainer: pictures and prompts are laid out by the model's family")
        family: Any = self.trainer.lightning_module.family
        return DataLoader(
            dataset,  # type: ignore[arg-type]  # the collate function turns Samples into a Batch
            batch_size=batch_size or self.eval_batch_size,
            collate_fn=TaskCollate(family.collate, self.target, self.order_seed),
            num_workers=self.num_workers,
            # A private generator: the workers' base seed is not drawn from the global stream.
            generator=torch.Generator().manual_seed(self.order_seed),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            **kwargs,
        )
