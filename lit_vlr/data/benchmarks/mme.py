"""MME: pairs of yes/no questions in fourteen subtasks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_text
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, quote
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import MMEScore
from lit_vlr.types import Sample, Task

_COLUMNS = ("image", "question", "answer")


@dataclass(frozen=True, kw_only=True)
class MME(Benchmark):
    r"""MME.

    Args:
        annotations: folder of ``{subtask}.txt``, lines of picture, question and Yes or No between tabs, as in the
            evaluation tool's ``Your_Results``.
        images: folder of ``{subtask}`` folders of pictures; where one has a folder ``images``, they are in that.
        split: second part of the uids; there is only one.
        prompt: see `Benchmark`. The questions end in "Please answer yes or no." already.
        max_new_tokens: see `Benchmark`.

    Reference:
        Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models", arXiv 2306.13394.
    """

    name = "mme"
    image_source = "mme"
    licence = "academic use; request"
    splits: ClassVar[Splits] = {"test": None}
    fetches = (
        Fetch(
            "pictures and evaluation tool, after a request",
            "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation",
        ),
    )

    annotations: Path
    images: Path
    split: str = "test"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds ``eval_tool/Your_Results`` and ``MME_Benchmark_release_version``."""
        return cls(
            annotations=root / "eval_tool" / "Your_Results", images=root / "MME_Benchmark_release_version", split=split
        )

    @property
    def own_task(self) -> Task:
        """Yes or no."""
        return Task(MMEScore(), "{question}", 10)

    def read(self) -> list[Sample]:
        """Samples by subtask, in the order of the lines.

        Raises:
            UserError: if there are no files.
        """
        pictures = Pictures(self.images)
        files = sorted(self.annotations.glob("*.txt"))
        if not files:
            raise UserError(f"Expected files of subtasks (existence.txt, …) in {self.annotations} but there are none")
        return [sample for file in files for sample in self._read(file, pictures)]

    def _read(self, file: Path, pictures: Pictures) -> list[Sample]:
        subtask = file.stem
        inner = f"{subtask}/images" if (pictures.root / subtask / "images").is_dir() else subtask
        asked: Counter[str] = Counter()
        samples = []
        for index, line in enumerate(read_text(file, "text").rstrip().split("\n")):
            values = line.rstrip("\r").split("\t")
            if len(values) != len(_COLUMNS):
                message = f"Expected picture, question and answer between tabs but got {quote(line)}"
                raise DataFormatError(file, index, "", "", message)
            bare = Record(file, dict(zip(_COLUMNS, values, strict=True)), index)
            image = bare.identifier("image")
            record = bare.named(f"{self.prefix}/{subtask}/{image}/{asked[image]}")
            asked[image] += 1
            samples.append(
                Sample(
                    record.uid,
                    pictures.path(record, "image", f"{inner}/{image}"),
                    f"{subtask}/{image}",
                    record.text("question"),
                    (record.one_of("answer", ("yes", "no")),),
                    {"category": subtask},
                    task=self.task,
                    image_source=self.image_source,
                )
            )
        for index, sample in enumerate(samples):
            n = asked[sample.image_id.partition("/")[2]]
            if n != 2:
                message = f"Expected two questions on a picture but got {n}; its score is about both being right"
                raise DataFormatError(file, index, sample.uid, "image", message)
        return samples
