"""ScienceQA: multiple-choice questions from school; the part with pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar, Literal, Self

from lit_vlr.data.benchmarks._prompts import LETTER
from lit_vlr.data.parsing import read_document, read_objects
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once, quote
from lit_vlr.data.source import Benchmark, Fetch, Splits
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
        choose: between options by ``words`` or by ``likelihood``; see `lit_vlr.tasks.OptionChoice`.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Lu et al., "Learn to Explain: Multimodal Reasoning via Thought Chains for Science Question Answering", NeurIPS
        2022.
    """

    name = "scienceqa"
    image_source = "scienceqa"
    licence = "CC BY-NC-SA 4.0"
    splits: ClassVar[Splits] = {"train": None, "val": None, "test": None}
    fetches = (
        Fetch("problems.json and pid_splits.json", "https://github.com/lupantech/ScienceQA/tree/main/data/scienceqa"),
        Fetch("pictures", "https://scienceqa.github.io"),
    )

    problems: Path
    pid_splits: Path
    images: Path
    split: str = "test"
    hint: bool = True
    choose: Literal["words", "likelihood"] = "words"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds both files and the folder ``images``."""
        return cls(
            problems=root / "problems.json", pid_splits=root / "pid_splits.json", images=root / "images", split=split
        )

    @property
    def own_task(self) -> Task:
        """A letter."""
        return Task(OptionChoice(self.choose), LETTER, 10)

    def read(self) -> list[Sample]:
        """Samples in the order of the split."""
        pictures = Pictures(self.images)
        problems = dict(read_objects(self.problems))
        splits = read_document(self.pid_splits)
        listed = [(pid, splits.named(f"{self.prefix}/{pid}")) for pid in splits.texts(self.split)]
        samples = []
        for pid, place in once(listed, self.split):
            if pid not in problems:
                place.fail(
                    self.split, f"Expected problems of {self.problems} but {pid} is none; take both of one release"
                )
            record = problems[pid].named(place.uid)
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
        if hint.strip():
            record.checked("hint", hint)
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
