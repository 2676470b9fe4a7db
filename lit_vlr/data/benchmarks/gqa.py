"""GQA: compositional questions made from scene graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.parsing import read_objects
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import ExactMatch
from lit_vlr.types import Sample, Task

_PAGE = "https://downloads.cs.stanford.edu/nlp/data/gqa"


@dataclass(frozen=True, kw_only=True)
class GQA(Benchmark):
    """GQA.

    Its pictures are Visual Genome's, half of which are COCO's under other ids: overlap with COCO is not seen here.

    Args:
        questions: ``{split}_questions.json``.
        images: folder of the pictures, ``{imageId}.jpg``.
        split: ``testdev_balanced``, say; ``test…`` and ``challenge…`` have no labels.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Hudson and Manning, "GQA: A New Dataset for Real-World Visual Reasoning and Compositional Question Answering",
        CVPR 2019.
    """

    name = "gqa"
    image_source = "visual_genome"
    licence = "CC BY 4.0"
    splits: ClassVar[Splits] = {
        "train_balanced": None,
        "val_balanced": None,
        "testdev_balanced": None,
    }
    fetches = (
        Fetch("questions", f"{_PAGE}/questions1.2.zip"),
        Fetch("pictures (20 GB)", f"{_PAGE}/images.zip"),
    )

    questions: Path
    images: Path
    split: str = "testdev_balanced"

    @classmethod
    def at(cls, root: Path, split: str = "testdev_balanced") -> Self:
        """``root`` holds the file and the folder ``images``."""
        return cls(questions=root / f"{split}_questions.json", images=root / "images", split=split)

    @property
    def own_task(self) -> Task:
        """Exact match of a few words, periods at the end aside."""
        return Task(ExactMatch("gqa"), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        return [self._sample(r.named(f"{self.prefix}/{key}"), pictures) for key, r in read_objects(self.questions)]

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image_id = record.identifier("imageId")
        labelled = self.split.startswith("testdev") or not self.split.startswith(("test", "challenge"))
        types = record.mapping("types") if "types" in record.row else {}
        return Sample(
            record.uid,
            pictures.path(record, "imageId", f"{image_id}.jpg"),
            image_id,
            record.text("question"),
            (record.text("answer"),) if labelled else (),
            {key: types[key] for key in ("structural", "semantic") if isinstance(types.get(key), str)},
            task=self.task,
            image_source=self.image_source,
        )
