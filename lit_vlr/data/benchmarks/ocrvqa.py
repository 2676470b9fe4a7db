"""OCR-VQA: questions on the covers of books."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._pairs import read_pairs
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_objects
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import ExactMatch
from lit_vlr.types import Sample, Task

_CODES = {"train": 1, "val": 2, "test": 3}


@dataclass(frozen=True, kw_only=True)
class OCRVQA(Benchmark):
    """OCR-VQA, from the official ``dataset.json`` or JSON lines of ``image``, ``question`` and ``answer``.

    Args:
        annotations: ``dataset.json``, all splits by book; or one split as ``.jsonl``.
        images: folder of the pictures, named by book, with the suffix of ``imageURL``.
        split: ``train``, ``val`` or ``test``.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Mishra et al., "OCR-VQA: Visual Question Answering by Reading Text in Images", ICDAR 2019.
    """

    name = "ocrvqa"
    image_source = "ocrvqa"
    splits: ClassVar[Splits] = {"train": None, "val": None, "test": None}
    fetches = (Fetch("dataset.json, and a script for the pictures", "https://ocr-vqa.github.io"),)

    annotations: Path
    images: Path
    split: str = "test"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds ``dataset.json`` and the folder ``images``."""
        return cls(annotations=root / "dataset.json", images=root / "images", split=split)

    @property
    def own_task(self) -> Task:
        """Exact match, spaces at the ends and case aside."""
        return Task(ExactMatch("lower"), SHORT, 100)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        if self.split not in _CODES:
            raise UserError(f"Expected `split` to be one of {list(_CODES)} but got {self.split!r}")
        if self.annotations.suffix == ".jsonl":
            return read_pairs(self.annotations, self.images, self.prefix, self.task, self.image_source)
        pictures = Pictures(self.images)
        samples = []
        for book, bare in read_objects(self.annotations):
            record = bare.named(f"{self.prefix}/{book}")
            code = record.integer("split")
            if code not in _CODES.values():
                record.fail("split", f"Expected 1 (train), 2 (val) or 3 (test) but got {code}")
            if code == _CODES[self.split]:
                samples += self._questions(record, book, pictures)
        if not samples:
            message = f"Expected books of {self.split} ({_CODES[self.split]}) but there are none"
            raise DataFormatError(self.annotations, None, "", "split", message)
        return samples

    def _questions(self, record: Record, book: str, pictures: Pictures) -> list[Sample]:
        questions, answers = record.texts("questions"), record.texts("answers")
        if len(questions) != len(answers):
            record.fail("answers", f"Expected an answer to each of {len(questions)} questions but got {len(answers)}")
        image = pictures.path(record, "imageURL", f"{book}{PurePosixPath(record.text('imageURL')).suffix}")
        return [
            Sample(
                f"{record.uid}/{place}",
                image,
                book,
                question,
                (answer,),
                task=self.task,
                image_source=self.image_source,
            )
            for place, (question, answer) in enumerate(zip(questions, answers, strict=True))
        ]
