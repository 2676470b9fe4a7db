"""AI2D: questions on diagrams from school books."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._pairs import read_pairs
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import ExactMatch
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class AI2D(Benchmark):
    """AI2D as JSON lines of ``image``, ``question`` (with its options in it) and ``answer``, as Qwen-VL reads it.

    Args:
        annotations: ``{split}.jsonl``.
        images: folder that ``image`` is relative to.
        split: ``train`` or ``test``.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Kembhavi et al., "A Diagram Is Worth a Dozen Images", ECCV 2016.
    """

    name = "ai2d"
    image_source = "ai2d"
    licence = "CC BY-SA 4.0"
    splits: ClassVar[Splits] = {"train": None, "test": None}
    fetches = (
        Fetch("pictures and questions", "https://ai2-public-datasets.s3.amazonaws.com/diagrams/ai2d-all.zip"),
        Fetch("the same as JSON lines", "https://github.com/QwenLM/Qwen-VL/blob/master/eval_mm/EVALUATION.md"),
    )

    annotations: Path
    images: Path
    split: str = "test"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds ``{split}.jsonl`` and what ``image`` is relative to."""
        return cls(annotations=root / f"{split}.jsonl", images=root, split=split)

    @property
    def own_task(self) -> Task:
        """Exact match, spaces at the ends and case aside."""
        return Task(ExactMatch("lower"), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        return read_pairs(self.annotations, self.images, self.prefix, self.task, self.image_source)
