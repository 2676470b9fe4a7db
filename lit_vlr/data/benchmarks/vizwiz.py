"""VizWiz: questions of blind people on pictures that they took, a third of them without an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.parsing import read_rows
from lit_vlr.data.pictures import Pictures, stem
from lit_vlr.data.records import Record, once
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.data.vqa_format import VQAFormat, check_ten
from lit_vlr.tasks import VQAAccuracy
from lit_vlr.types import Sample, Task

UNANSWERABLE = "unanswerable"


@dataclass(frozen=True, kw_only=True)
class VizWiz(Benchmark):
    """VizWiz, as released (one list), or in the VQA format (two files).

    ``metadata`` holds ``unanswerable_votes``, how many of the ten say so; where it is 5 or more, abstaining is right.

    Args:
        annotations: ``val.json``; or the annotations in the VQA format.
        questions: the questions in the VQA format; None for the official list.
        images: folder of the pictures, ``VizWiz_val_00000000.jpg`` and so on.
        split: ``train``, ``val`` or ``test``, which has no labels.
        require_ten: refuse questions without exactly ten answers; by default that is a warning.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Gurari et al., "VizWiz Grand Challenge: Answering Visual Questions from Blind People", CVPR 2018.
    """

    name = "vizwiz"
    image_source = "vizwiz"
    licence = "CC BY 4.0"
    splits: ClassVar[Splits] = {"train": 20523, "val": 4319, "test": 8000}
    fetches = (
        Fetch("annotations", "https://vizwiz.cs.colorado.edu/VizWiz_final/vqa_data/Annotations.zip"),
        Fetch("pictures of val", "https://vizwiz.cs.colorado.edu/VizWiz_final/images/val.zip"),
        Fetch("pictures of train", "https://vizwiz.cs.colorado.edu/VizWiz_final/images/train.zip"),
    )

    annotations: Path
    questions: Path | None = None
    images: Path
    split: str = "val"
    require_ten: bool = False

    @classmethod
    def at(cls, root: Path, split: str = "val") -> Self:
        """``root`` holds ``{split}.json`` and the folder ``{split}`` of pictures."""
        return cls(annotations=root / f"{split}.json", images=root / split, split=split)

    @property
    def own_task(self) -> Task:
        """Soft accuracy of a few words."""
        return Task(VQAAccuracy(), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in the order of the questions."""
        if self.questions is None:
            samples = self._read_list()
            check_ten(self.annotations, samples, self.require_ten)
        else:
            samples = VQAFormat(
                prefix=self.prefix,
                image_id=lambda record: record.text("image_id"),
                image_name=str,
                labels=_types,
                annotation_fields=("question_type", "answer_type"),
                task=self.task,
                image_source=self.image_source,
                require_ten=self.require_ten,
            ).read(self.questions, self.annotations, self.images)
        return [
            replace(sample, metadata={**sample.metadata, "unanswerable_votes": sample.answers.count(UNANSWERABLE)})
            if sample.answers
            else sample
            for sample in samples
        ]

    def _read_list(self) -> list[Sample]:
        pictures = Pictures(self.images)
        rows = ((_question_id(record.text("image")), record) for record in read_rows(self.annotations))
        return [self._sample(record.named(f"{self.prefix}/{key}"), pictures) for key, record in once(rows, "image")]

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image = record.text("image")
        labelled = self.split != "test"
        answers = tuple(given.text("answer") for given in record.records("answers")) if labelled else ()
        metadata = {"answer_type": record.text("answer_type")} if labelled else {}
        return Sample(
            record.uid,
            pictures.path(record, "image", image),
            image,
            record.text("question"),
            answers,
            metadata,
            task=self.task,
            image_source=self.image_source,
        )


def _types(row: Record, document: Record) -> dict[str, str]:
    return {name: row.text(name) for name in ("question_type", "answer_type") if name in row.row}


def _question_id(image: str) -> str:
    """The number in a picture's name, which is its question's, too: ``VizWiz_val_00000012.jpg`` is 12."""
    digits = stem(image).rpartition("_")[2]
    return str(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) < 20 else stem(image)
