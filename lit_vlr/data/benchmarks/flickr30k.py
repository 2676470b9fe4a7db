"""Flickr30k: five captions a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._captions import MAX_NEW_TOKENS, read_captions
from lit_vlr.data.pictures import stem
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import Captions
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class Flickr30k(Benchmark):
    """Flickr30k in COCO's caption format, Karpathy's split.

    Args:
        annotations: ``flickr30k_karpathy_{split}.json``.
        images: folder of the pictures.
        split: ``train``, ``val`` or ``test``.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Young et al., "From Image Descriptions to Visual Denotations", TACL 2014; the split is that of Karpathy and Li,
        CVPR 2015.
    """

    name = "flickr30k"
    image_source = "flickr30k"
    licence = "terms of use; request form"
    splits: ClassVar[Splits] = {"train": None, "val": None, "test": None}
    fetches = (
        Fetch("pictures, after a request", "https://shannon.cs.illinois.edu/DenotationGraph/"),
        Fetch("captions", "https://github.com/QwenLM/Qwen-VL/blob/master/eval_mm/EVALUATION.md"),
    )

    annotations: Path
    images: Path
    split: str = "test"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds the file and the folder ``images``."""
        return cls(annotations=root / f"flickr30k_karpathy_{split}.json", images=root / "images", split=split)

    @property
    def own_task(self) -> Task:
        """One sentence."""
        return Task(Captions(), max_new_tokens=MAX_NEW_TOKENS)

    def read(self) -> list[Sample]:
        """Samples in the order of the pictures."""
        return read_captions(
            self.annotations,
            self.images,
            self.prefix,
            self.task,
            self.image_source,
            lambda record: stem(record.text("file_name")),
        )
