"""POPE: is there such an object in the picture?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._coco import VAL2014
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.parsing import read_lines
from lit_vlr.data.pictures import Pictures, coco_id
from lit_vlr.data.records import Record, once
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import YesNo
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class POPE(Benchmark):
    """POPE on COCO.

    Args:
        annotations: ``coco_pope_{split}.json``, one object a line.
        images: folder of COCO's val2014 pictures.
        split: how absent objects were chosen: ``random``, ``popular`` or ``adversarial``.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Li et al., "Evaluating Object Hallucination in Large Vision-Language Models", EMNLP 2023.
    """

    name = "pope"
    image_source = "coco"
    licence = "MIT"
    splits: ClassVar[Splits] = {"random": 3000, "popular": 3000, "adversarial": 3000}
    fetches = (Fetch("questions", "https://github.com/RUCAIBox/POPE/tree/main/output/coco"), VAL2014)

    annotations: Path
    images: Path
    split: str = "adversarial"

    @classmethod
    def at(cls, root: Path, split: str = "adversarial") -> Self:
        """``root`` holds the file and the folder ``val2014``."""
        return cls(annotations=root / f"coco_pope_{split}.json", images=root / "val2014", split=split)

    @property
    def own_task(self) -> Task:
        """Yes or no."""
        return Task(YesNo(), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        rows = ((record.integer("question_id"), record) for record in read_lines(self.annotations))
        return [self._sample(r.named(f"{self.prefix}/{key}"), pictures) for key, r in once(rows, "question_id")]

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image = record.text("image")
        return Sample(
            record.uid,
            pictures.path(record, "image", image),
            coco_id(image),
            record.text("text"),
            (record.one_of("label", ("yes", "no")),),
            task=self.task,
            image_source=self.image_source,
        )
