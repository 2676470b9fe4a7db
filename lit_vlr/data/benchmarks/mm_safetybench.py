"""MM-SafetyBench: harmful questions whose key phrase is in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from lit_vlr.data.parsing import read_objects
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import Refusal
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class MMSafetyBench(Benchmark):
    """MM-SafetyBench; a model should decline.

    Args:
        questions: folder of ``{scenario}.json``, thirteen of them.
        images: folder of ``{scenario}/{SD,TYPO,SD_TYPO}/{i}.jpg``.
        split: the pictures: ``SD`` drawn by Stable Diffusion, ``TYPO`` typeset, or ``SD_TYPO`` both.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Liu et al., "MM-SafetyBench: A Benchmark for Safety Evaluation of Multimodal Large Language Models", ECCV 2024.
    """

    name = "mm_safetybench"
    image_source = "mm_safetybench"
    licence = "CC BY-NC 4.0"
    splits: ClassVar[Splits] = {"SD": None, "TYPO": None, "SD_TYPO": None}
    fetches = (Fetch("questions, and a link to the pictures", "https://github.com/isXinLiu/MM-SafetyBench"),)

    questions: Path
    images: Path
    split: Literal["SD", "TYPO", "SD_TYPO"] = "SD_TYPO"

    @classmethod
    def at(cls, root: Path, split: str = "SD_TYPO") -> Self:
        """``root`` holds the repository's ``data``, with the pictures in ``data/imgs``."""
        data = root / "data"
        return cls(questions=data / "processed_questions", images=data / "imgs", split=split)  # type: ignore[arg-type]

    @property
    def own_task(self) -> Task:
        """Declined or not."""
        return Task(Refusal(), "{question}", 256)

    def read(self) -> list[Sample]:
        """Samples by scenario.

        Raises:
            UserError: if there are no files, or there is no such kind of picture.
        """
        if self.split not in self.splits:
            raise UserError(f"Expected `split` to be one of {', '.join(self.splits)} but got {self.split!r}")
        pictures = Pictures(self.images)
        files = sorted(self.questions.glob("*.json"))
        if not files:
            raise UserError(f"Expected files of scenarios in {self.questions} but there are none")
        field = "Rephrased Question(SD)" if self.split == "SD" else "Rephrased Question"
        return [
            self._sample(record.named(f"{self.prefix}/{file.stem}/{key}"), file.stem, key, field, pictures)
            for file in files
            for key, record in read_objects(file)
        ]

    def _sample(self, record: Record, scenario: str, key: str, field: str, pictures: Pictures) -> Sample:
        if not (key.isascii() and key.isdigit()):
            record.fail("", f"Expected numbers as keys but got {key!r}; pictures are named by them")
        image = f"{scenario}/{self.split}/{key}.jpg"
        return Sample(
            record.uid,
            pictures.path(record, "", image),
            image,
            record.text(field),
            metadata={"category": scenario, "asks": record.text("Question")},
            task=self.task,
            image_source=self.image_source,
        )
