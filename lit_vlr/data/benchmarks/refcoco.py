"""RefCOCO, RefCOCO+ and RefCOCOg: finding what a phrase refers to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from lit_vlr.data.benchmarks._coco import TRAIN2014
from lit_vlr.data.parsing import read_lines
from lit_vlr.data.pictures import Pictures, coco_id
from lit_vlr.data.records import Record, quote
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import BoxOverlap, box_text
from lit_vlr.types import Box, Sample, Task

_SLACK = 1.0  # pixels: rounded coordinates stand out that far in the official files


@dataclass(frozen=True, kw_only=True)
class RefCOCO(Benchmark):
    """Referring expressions, as JSON lines of ``image``, ``sent``, ``bbox`` (corners in pixels), ``width``, ``height``.

    Args:
        annotations: ``{variant}_{split}.jsonl``.
        images: folder that ``image`` is relative to.
        split: ``val``, ``testA`` or ``testB``; ``val`` or ``test`` of RefCOCOg.
        variant: which of the three.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Yu et al., "Modeling Context in Referring Expressions", ECCV 2016; Mao et al., "Generation and Comprehension of
        Unambiguous Object Descriptions", CVPR 2016.
    """

    name = "refcoco"
    image_source = "coco"
    licence = "Apache-2.0"
    splits: ClassVar[Splits] = {"val": None, "testA": None, "testB": None, "test": None}
    fetches = (
        Fetch("expressions", "https://github.com/lichengunc/refer"),
        Fetch("the same as JSON lines", "https://github.com/QwenLM/Qwen-VL/blob/master/eval_mm/EVALUATION.md"),
        TRAIN2014,
    )

    annotations: Path
    images: Path
    split: str = "val"
    variant: Literal["refcoco", "refcoco+", "refcocog"] = "refcoco"

    @classmethod
    def at(cls, root: Path, split: str = "val") -> Self:
        """``root`` holds ``refcoco_{split}.jsonl`` and what ``image`` is relative to."""
        return cls(annotations=root / f"refcoco_{split}.jsonl", images=root, split=split)

    @property
    def prefix(self) -> str:
        """The variant is the data set."""
        return f"{self.variant}/{self.split}"

    @property
    def own_task(self) -> Task:
        """Coordinates from 0 to 999."""
        return Task(BoxOverlap(), "Give the bounding box of {question} as (x1,y1),(x2,y2) from 0 to 999.", 28)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        return [self._sample(r.named(f"{self.prefix}/{r.index}"), pictures) for r in read_lines(self.annotations)]

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image = record.text("image")
        size = _side(record, "width"), _side(record, "height")
        box = _box(record, size)
        return Sample(
            record.uid,
            pictures.path(record, "image", image),
            coco_id(image),
            record.text("sent"),
            (box_text(box, size),),
            {"width": size[0], "height": size[1]},
            box=box,
            task=self.task,
            image_source=self.image_source,
        )


def _side(record: Record, field: str) -> int:
    value = record.integer(field)
    if value == 0:
        record.fail(field, "Expected a side in pixels but got 0")
    return value


def _box(record: Record, size: tuple[int, int]) -> Box:
    x1, y1, x2, y2 = record.numbers("bbox", 4)
    width, height = size
    if x1 >= x2 or y1 >= y2:
        message = f"Expected corners with x1 < x2 and y1 < y2 but got {quote(record.row['bbox'])}"
        record.fail("bbox", f"{message}; convert (x, y, width, height) to corners")
    if min(x1, y1) < -_SLACK or x2 > width + _SLACK or y2 > height + _SLACK:
        message = f"Expected a box inside the picture of {width} x {height} but got {quote(record.row['bbox'])}"
        record.fail("bbox", f"{message}; is it of another picture?")
    return x1, y1, x2, y2
