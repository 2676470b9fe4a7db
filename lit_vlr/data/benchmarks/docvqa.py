"""DocVQA: questions on scanned pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.parsing import read_document
from lit_vlr.data.pictures import Pictures, stem
from lit_vlr.data.records import Record, once
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import ANLS
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class DocVQA(Benchmark):
    """DocVQA (single page).

    Args:
        annotations: ``{split}_v1.0.json``.
        images: folder that ``image`` (``documents/….png``) is relative to.
        split: ``train``, ``val`` or ``test``, which has no labels.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Mathew et al., "DocVQA: A Dataset for VQA on Document Images", WACV 2021.
    """

    name = "docvqa"
    image_source = "docvqa"
    licence = "terms of the challenge; registration"
    splits: ClassVar[Splits] = {"train": 39463, "val": 5349, "test": 5188}
    fetches = (Fetch("annotations and pictures, after registration", "https://rrc.cvc.uab.es/?ch=17&com=downloads"),)

    annotations: Path
    images: Path
    split: str = "val"

    @classmethod
    def at(cls, root: Path, split: str = "val") -> Self:
        """``root`` holds the file and the folder ``documents``."""
        return cls(annotations=root / f"{split}_v1.0.json", images=root, split=split)

    @property
    def own_task(self) -> Task:
        """ANLS, of answers that may be long."""
        return Task(ANLS(), SHORT, 100)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        rows = ((record.integer("questionId"), record) for record in read_document(self.annotations).records("data"))
        return [self._sample(r.named(f"{self.prefix}/{key}"), pictures) for key, r in once(rows, "questionId")]

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image = record.text("image")
        return Sample(
            record.uid,
            pictures.path(record, "image", image),
            stem(image),
            record.text("question"),
            () if self.split == "test" else record.texts("answers"),
            {"document": record.identifier("docId")} if "docId" in record.row else {},
            task=self.task,
            image_source=self.image_source,
        )
