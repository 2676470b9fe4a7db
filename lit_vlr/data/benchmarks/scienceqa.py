"""ScienceQA: multiple-choice questions from school; the part with pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._prompts import LETTER
from lit_vlr.data.parsing import read_document
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once, quote
from lit_vlr.data.source import Benchmark, Fetch
from lit_vlr.tasks import OptionChoice
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class ScienceQA(Benchmark):
    """ScienceQA-IMG: questions without a picture are left out.

    Args:
        problems: ``problems.json``, all splits by problem id.
        pid_splits: ``pid_splits.json``, problem ids by split.
        images: folder of the pictures, ``{split}/{pid}/image.png``.
        split: ``train``, ``val`` or ``test``.
        hint: put the hint, which holds what some questions refer to, before the question.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Lu et al., "Learn to Explain: Multimodal Reasoning via Thought Chains for Science Question Answering", NeurIPS
        2022.
    """

    name = "scienceqa"
    image_source = "scienceqa"
    licence = "CC BY-NC-SA 4.0"
    splits: ClassVar[Mapping[str, int | None]] = {"train": None, "val": None, "test": None}
    fetches = (
        Fetch("problems.json and pid_splits.json", "https://github.com/lupantech/ScienceQA/tree/main/data/scienceqa"),
        Fetch("pictures", "https://scienceqa.github.io"),
    )

    problems: Path
    pid_splits: Path
    images: Path
    split: str = "test"
    hint: bool = True

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds both files and the folder ``images``."""
        return cls(
            problems=root / "problems.json", pid_splits=root / "pid_splits.json", images=root / "images", split=split
        )

    @property
    def own_task(self) -> Task:
        """A letter."""
        return Task(OptionChoice(), LETTER, 10)

    def read(self) -> list[Sample]:
        """Samples in the order of the split."""
        pictures = Pictures(self.images)
        problems = read_document(self.problems)
        places = {pid: place for place, pid in enumerate(problems.row)}
        splits = read_document(self.pid_splits)
        listed = [(pid, splits.named(f"{self.prefix}/{pid}")) for pid in splits.texts(self.split)]
        samples = []
        for pid, place in once(listed, self.split):
            row = problems.row.get(pid)
            if not isinstance(row, dict):
                place.fail(self.split, f"Expected an object for {pid} in {self.problems} but got {quote(row)}")
            record = Record(self.problems, row, places[pid], place.uid)
            if record.get("image") is not None:
                samples.append(self._sample(record, pid, pictures))
        if not samples:
            splits.fail(self.split, "Expected questions with pictures but there are none")
        return samples

    def _sample(self, record: Record, pid: str, pictures: Pictures) -> Sample:
        choices = record.texts("choices")
        if len(choices) > len(ascii_uppercase):
            record.fail("choices", f"Expected up to 26 choices but got {len(choices)}")
        question, hint = record.text("question"), record.row.get("hint", "")
        if not isinstance(hint, str):
            record.fail("hint", f"Expected text but got {quote(hint)}")
        return Sample(
            record.uid,
            pictures.path(record, "image", f"{self.split}/{pid}/{record.text('image')}"),
            pid,
            f"{hint.strip()}\n{question}" if self.hint and hint.strip() else question,
            (ascii_uppercase[record.place("answer", len(choices))],),
            {key: record.row[key] for key in ("subject", "topic", "grade") if isinstance(record.row.get(key), str)},
            choices=choices,
            task=self.task,
            image_source=self.image_source,
        )
