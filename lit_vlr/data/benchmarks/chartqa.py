"""ChartQA: questions on charts, by people and by a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._pairs import read_pairs
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.parsing import read_rows
from lit_vlr.data.pictures import Pictures, stem
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import RelaxedAccuracy
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class ChartQA(Benchmark):
    """ChartQA, from the official JSON (``imgname``, ``query``, ``label``) or JSON lines of picture, question, answer.

    Args:
        human: questions by people, ``{split}_human.json``; None leaves them out.
        augmented: questions by a model, ``{split}_augmented.json``; None leaves them out.
        images: folder of the pictures.
        split: ``train``, ``val`` or ``test``.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Masry et al., "ChartQA: A Benchmark for Question Answering about Charts with Visual and Logical Reasoning",
        Findings of ACL 2022.
    """

    name = "chartqa"
    image_source = "chartqa"
    licence = "GPL-3.0"
    splits: ClassVar[Splits] = {"train": None, "val": None, "test": None}
    fetches = (Fetch("questions and pictures", "https://github.com/vis-nlp/ChartQA"),)

    human: Path | None = None
    augmented: Path | None = None
    images: Path
    split: str = "test"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds the folder of the split, with both files and the folder ``png``."""
        folder = root / split
        return cls(
            human=folder / f"{split}_human.json",
            augmented=folder / f"{split}_augmented.json",
            images=folder / "png",
            split=split,
        )

    @property
    def own_task(self) -> Task:
        """Numbers within 5%."""
        return Task(RelaxedAccuracy(), SHORT, 100)

    def read(self) -> list[Sample]:
        """Samples of people, then those of the model; ``metadata`` says whose each is.

        Raises:
            UserError: if both files are left out.
        """
        files = {"human": self.human, "augmented": self.augmented}
        given = {by: file for by, file in files.items() if file is not None}
        if not given:
            raise UserError("Expected `human` or `augmented` but both are null; give at least one file")
        return [sample for by, file in given.items() for sample in self._read(by, file)]

    def _read(self, by: str, file: Path) -> list[Sample]:
        if file.suffix == ".jsonl":
            return read_pairs(file, self.images, f"{self.prefix}/{by}", self.task, self.image_source)
        pictures = Pictures(self.images)
        samples = []
        for bare in read_rows(file):
            record = bare.named(f"{self.prefix}/{by}/{bare.index}")
            image = record.text("imgname")
            path = pictures.path(record, "imgname", image)
            question, answers = record.text("query"), (record.text("label"),)
            samples.append(
                Sample(
                    record.uid,
                    path,
                    stem(image),
                    question,
                    answers,
                    {"by": by},
                    task=self.task,
                    image_source=self.image_source,
                )
            )
        return samples
