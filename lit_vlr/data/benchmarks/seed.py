"""SEED-Bench: multiple choice in nine dimensions of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from lit_vlr.data.benchmarks._prompts import LETTER
from lit_vlr.data.parsing import read_document
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import OptionChoice
from lit_vlr.types import Sample, Task

_LETTERS = "abcd"


@dataclass(frozen=True, kw_only=True)
class SEED(Benchmark):
    """SEED-Bench; questions on videos are left out.

    Args:
        annotations: ``SEED-Bench.json``.
        images: folder of the pictures, ``SEED-Bench-image``; ``data_id`` is relative to it.
        split: second part of the uids; there is only one.
        choose: between options by ``words`` or by ``likelihood``; see `lit_vlr.tasks.OptionChoice`.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Li et al., "SEED-Bench: Benchmarking Multimodal LLMs with Generative Comprehension", CVPR 2024.
    """

    name = "seed"
    image_source = "cc3m"
    licence = "CC BY-NC 4.0"
    splits: ClassVar[Splits] = {"test": None}
    fetches = (Fetch("questions and pictures", "https://huggingface.co/datasets/AILab-CVC/SEED-Bench"),)

    annotations: Path
    images: Path
    split: str = "test"
    choose: Literal["words", "likelihood"] = "words"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds the file and the folder ``SEED-Bench-image``."""
        return cls(annotations=root / "SEED-Bench.json", images=root / "SEED-Bench-image", split=split)

    @property
    def own_task(self) -> Task:
        """A letter."""
        return Task(OptionChoice(self.choose), LETTER, 10)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        document = read_document(self.annotations)
        names = {code: name for name, code in document.mapping("question_type").items() if isinstance(code, int)}
        rows = once(((r.identifier("question_id"), r) for r in document.records("questions")), "question_id")
        kept = [
            self._sample(record.named(f"{self.prefix}/{key}"), pictures, names)
            for key, record in rows
            if record.one_of("data_type", ("image", "video")) == "image"
        ]
        if not kept:
            document.fail("questions", "Expected questions on pictures but all are on videos")
        return kept

    def _sample(self, record: Record, pictures: Pictures, names: dict[int, str]) -> Sample:
        code = record.integer("question_type_id")
        if code not in names:
            record.fail("question_type_id", f"Expected one of `question_type` ({sorted(names)}) but got {code}")
        data_id = record.text("data_id")
        return Sample(
            record.uid,
            pictures.path(record, "data_id", data_id),
            data_id,
            record.text("question"),
            (record.one_of("answer", _LETTERS).upper(),),
            {"question_type": names[code]},
            choices=tuple(record.text(f"choice_{letter}") for letter in _LETTERS),
            task=self.task,
            image_source=self.image_source,
        )
