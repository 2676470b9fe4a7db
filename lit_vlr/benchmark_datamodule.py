"""LightningDataModules over benchmarks: what is trained on, what thresholds are fitted on, what is tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader, Dataset

from lit_vlr.data.cost import sample_cost
from lit_vlr.data.leakage import find_overlaps, refuse_overlaps
from lit_vlr.data.loading import Target, TaskCollate
from lit_vlr.data.order import BucketedSampler, ResumableSampler, TrainingOrder, WindowedSampler
from lit_vlr.data.shards import ShardSamples
from lit_vlr.data.source import Source
from lit_vlr.data.splits import HELD, ImageKey, check_fold, image_key, k_folds, split_by_image
from lit_vlr.errors import UserError
from lit_vlr.tasks import score_answer
from lit_vlr.types import Batch, Sample

Bucketing = Literal["none", "length", "image_tokens", "both"]


class _Samples(Dataset[Sample]):
    """Samples as torch wants them."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Sample:
        return self.samples[place]


class BenchmarkDataModule(LightningDataModule):
    """Any sources as training, calibration and test sets.

    The calibration split, on which validation runs and thresholds are fitted, shares no picture with training: it is
    held back from the training set unless it is given. No test set may share a picture with either, unless it is
    allowed by name.

    Args:
        train: the training set; None if only tests are run.
        test: the test sets by name, in their order; the first is the in-domain one.
        calibration: a calibration set of its own.
        calibration_fraction: what is held back of ``train`` where there is none.
        folds: cut what is trained on into so many parts by picture and leave one out, for learning from peers; 0 does
            not. The calibration split is held back first, so that it is the same for every fold and without folds.
        fold: which part is left out; it becomes the only test set, ``held``, so that ``predictions/held.jsonl`` holds
            answers of a model that never saw these pictures.
        bucketing: put samples into batches by ``length`` of their texts, by ``image_tokens`` or by ``both``.
        batch_size: rows a training batch.
        eval_batch_size: rows elsewhere; it changes no result.
        target: train on the ``majority`` answer, or on one ``sampled`` by annotator votes.
        num_workers: processes that decode and collate; it changes no result.
        pin_memory: copy batches to page-locked memory; null does so where there is a GPU.
        image_cache_mb: decoded pictures that each worker keeps, in megabytes.
        split_seed: of calibration split and folds.
        order_seed: of the training order.
        allow_overlap: names of test sets (``calibration`` for that one) that may share pictures with training.

    Raises:
        UserError: if a size is out of range or nothing is given.
    """

    name = "benchmarks"

    def __init__(
        self,
        train: Source | None = None,
        test: dict[str, Source] | None = None,
        calibration: Source | None = None,
        calibration_fraction: float = 0.1,
        folds: int = 0,
        fold: int = 0,
        bucketing: Bucketing = "none",
        batch_size: int = 32,
        eval_batch_size: int = 64,
        target: Target = "majority",
        num_workers: int = 0,
        pin_memory: bool | None = None,
        image_cache_mb: int = 0,
        split_seed: int = 0,
        order_seed: int = 0,
        allow_overlap: list[str] | None = None,
    ) -> None:
        super().__init__()
        for key, size in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if size < 1:
                raise UserError(f"Expected `data.{key}` of at least 1 but got {size}")
        counts = {"num_workers": num_workers, "image_cache_mb": image_cache_mb, "split_seed": split_seed}
        for key, count in {**counts, "order_seed": order_seed}.items():
            if count < 0:
                raise UserError(f"Expected `data.{key}` of at least 0 but got {count}")
        check_fold(folds, fold)
        if folds and (train is None or HELD in (test or {})):
            raise UserError(f"Expected `data.train` to cut into folds and no test set called {HELD!r}; rename it")
        if train is None and not test:
            raise UserError("Expected `data.train` or `data.test` but got neither; name at least one set")
        self.train_source, self.calibration_source, self.test_sources = train, calibration, dict(test or {})
        self.calibration_fraction, self.folds, self.fold = calibration_fraction, folds, fold
        self.bucketing: Bucketing = bucketing
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.target: Target = target
        self.num_workers, self.image_cache_mb = num_workers, image_cache_mb
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.split_seed, self.order_seed = split_seed, order_seed
        self.allow_overlap = list(allow_overlap or ())
        self.sets: dict[str, Sequence[Sample]] = {}
        """What was read: ``train``, ``calibration``, and ``test/<name>``."""

    @property
    def test_names(self) -> list[str]:
        """The test sets, in the order of the test loaders."""
        return [HELD] if self.folds else list(self.test_sources)

    def describe(self) -> str:
        """The data in a few words, for manifests."""
        trained = "nothing" if self.train_source is None else str(self.train_source)
        if self.folds:
            return f"{trained} without fold {self.fold} of {self.folds}, which is the test"
        return f"{trained}; tests: {', '.join(map(str, self.test_sources.values())) or 'none'}"

    def setup(self, stage: str | None = None) -> None:
        """Read everything, once, and refuse leakage; sets are read whatever the stage, for leakage is between them.

        Raises:
            DataFormatError: if a file breaks its format.
            LeakageError: if training has seen pictures of an evaluation set that is not allowed by name.
        """
        if self.sets:
            return
        sets: dict[str, Sequence[Sample]] = {f"test/{name}": s.read() for name, s in self.test_sources.items()}
        if self.calibration_source is not None:
            sets["calibration"] = self.calibration_source.read()
        if self.train_source is not None:
            sets |= self._training(self.train_source.read(), "calibration" not in sets)
        scored = {"calibration set": sets.get("calibration", ())}
        if self.folds:
            scored["fold"] = sets[f"test/{HELD}"]
        for what, samples in scored.items():
            unscored = [s.uid for s in samples if score_answer("", s, "no_skip") is None][:1]
            if unscored:
                raise UserError(
                    f"Expected a {what} whose answers can be scored one by one but {unscored[0]} cannot; take a "
                    "labelled split of a benchmark with an accuracy"
                )
        self._refuse_leakage(sets)
        self.sets = sets

    def _training(self, samples: Sequence[Sample], hold_back: bool) -> dict[str, Sequence[Sample]]:
        """The training set without what is held back of it."""
        if isinstance(samples, ShardSamples):
            if hold_back or self.folds:
                raise UserError(
                    "Expected `data.calibration` and no `data.folds` with shards, which are not read to be cut; write "
                    "the calibration split as a set of its own"
                )
            return {"train": samples}
        parts: dict[str, Sequence[Sample]] = {}
        if hold_back:
            samples, parts["calibration"] = split_by_image(samples, self.calibration_fraction, self.split_seed)
        if self.folds:
            folds = k_folds(samples, self.folds, self.split_seed)
            parts[f"test/{HELD}"] = folds.pop(self.fold)
            samples = [sample for fold in folds for sample in fold]
        return {"train": samples, **parts}

    def _refuse_leakage(self, sets: Mapping[str, Sequence[Sample]]) -> None:
        """Between what was trained on, or thresholds were fitted on, and the test sets; and between the first two."""
        keys = {name: set(_image_keys(samples)) for name, samples in sets.items()}
        trained, fitted = keys.get("train", set()), keys.get("calibration", set())
        tests = {name.removeprefix("test/"): found for name, found in keys.items() if name.startswith("test/")}
        overlaps = find_overlaps(trained | fitted, tests) + find_overlaps(trained, {"calibration": fitted})
        for line in refuse_overlaps(overlaps, self.allow_overlap):
            rank_zero_info(f"lit_vlr: training has seen pictures of {line}; allowed by name")

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training batches, in an order of (order_seed, batches completed)."""
        samples = self._set("train", "`data.train`")
        return self._loader(samples, self.batch_size, sampler=self._order(samples))

    def _order(self, samples: Sequence[Sample]) -> TrainingOrder:
        size, seed = self.batch_size, self.order_seed
        if isinstance(samples, ShardSamples):
            return WindowedSampler(samples.blocks, size, seed, self._batches_completed)
        if self.bucketing == "none":
            return ResumableSampler(len(samples), size, seed, self._batches_completed)
        kind = self.bucketing
        return BucketedSampler(
            len(samples), size, seed, self._batches_completed, cost=lambda place: sample_cost(samples[place], kind)
        )

    def _batches_completed(self) -> int:
        """Of the whole run; ``processed`` rather than ``completed``: a checkpoint may be saved between the two."""
        assert self.trainer is not None
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.total
        return int(progress.processed)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The calibration split."""
        return self._loader(self._set("calibration", "`data.calibration` or `data.train`"))

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """The test sets."""
        if not self.test_names:
            raise UserError("Expected test sets but `data.test` has none")
        return [self._loader(self.sets[f"test/{name}"]) for name in self.test_names]

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The first test set; with folds, that is the one left out."""
        return self.test_dataloader()[0]

    def _set(self, name: str, what: str) -> Sequence[Sample]:
        if name not in self.sets:
            raise UserError(f"Expected {what} but there is none; give it, or run a verb that needs none")
        return self.sets[name]

    def _loader(self, samples: Sequence[Sample], batch_size: int | None = None, **kwargs: Any) -> DataLoader[Batch]:  # noqa: ANN401
        if self.trainer is None:
            raise UserError("Expected a Trainer: pictures and prompts are laid out by the model's family")
        family: Any = self.trainer.lightning_module.family
        return DataLoader(
            _Samples(samples),  # type: ignore[arg-type]  # the collate function turns Samples into a Batch
            batch_size=batch_size or self.eval_batch_size,
            collate_fn=TaskCollate(family.collate, self.target, self.order_seed, self.image_cache_mb * 2**20),
            num_workers=self.num_workers,
            # A private generator: the workers' base seed is not drawn from the global stream.
            generator=torch.Generator().manual_seed(self.order_seed),
            pin_memory=self.pin_memory,
            persistent_workers=self.num_workers > 0,
            **kwargs,
        )


def _image_keys(samples: Sequence[Sample]) -> Iterable[ImageKey]:
    return samples.image_keys() if isinstance(samples, ShardSamples) else map(image_key, samples)
