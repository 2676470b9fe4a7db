"""One LightningDataModule for each benchmark with a training split: its official files below one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lit_vlr.benchmark_datamodule import BenchmarkDataModule
from lit_vlr.data.benchmarks import AOKVQA, GQA, OKVQA, DocVQA, ScienceQA, TextVQA, VizWiz, VQAv2
from lit_vlr.data.source import Benchmark, Source


class _Official(BenchmarkDataModule):
    """One benchmark's training and test split below a folder, under the official names."""

    benchmark: type[Benchmark]
    splits: tuple[str, str]

    def __init__(self, root: Path, extra_tests: dict[str, Source] | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        train, test = (self.benchmark.at(root, split) for split in self.splits)
        super().__init__(train=train, test={self.benchmark.name: test, **(extra_tests or {})}, **kwargs)
        self.name = self.benchmark.name


class OKVQADataModule(_Official):
    """OK-VQA: trains on train2014, tests on val2014.

    Args:
        root: folder of the official files; see `lit_vlr.data.benchmarks.OKVQA.at`.
        extra_tests: further test sets, by name.
        **kwargs: see `BenchmarkDataModule`.
    """

    benchmark = OKVQA
    splits = ("train2014", "val2014")


class VQAv2DataModule(_Official):
    """VQAv2: trains on train2014, tests on val2014; arguments as `OKVQADataModule`."""

    benchmark = VQAv2
    splits = ("train2014", "val2014")


class AOKVQADataModule(_Official):
    """A-OKVQA, direct answers: trains on train, tests on val; arguments as `OKVQADataModule`."""

    benchmark = AOKVQA
    splits = ("train", "val")


class VizWizDataModule(_Official):
    """VizWiz: trains on train, tests on val; arguments as `OKVQADataModule`."""

    benchmark = VizWiz
    splits = ("train", "val")


class TextVQADataModule(_Official):
    """TextVQA: trains on train, tests on val; arguments as `OKVQADataModule`."""

    benchmark = TextVQA
    splits = ("train", "val")


class GQADataModule(_Official):
    """GQA: trains on train_balanced, tests on testdev_balanced; arguments as `OKVQADataModule`."""

    benchmark = GQA
    splits = ("train_balanced", "testdev_balanced")


class ScienceQADataModule(_Official):
    """ScienceQA-IMG: trains on train, tests on test; arguments as `OKVQADataModule`."""

    benchmark = ScienceQA
    splits = ("train", "test")


class DocVQADataModule(_Official):
    """DocVQA: trains on train, tests on val; arguments as `OKVQADataModule`."""

    benchmark = DocVQA
    splits = ("train", "val")
