"""A-OKVQA: knowledge questions, with direct answers and with four choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar, Literal, Self

from lit_vlr.data.benchmarks._coco import TEST2017, TRAIN2017, VAL2017
from lit_vlr.data.benchmarks._prompts import LETTER, SHORT
from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_rows
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.data.vqa_format import check_ten
from lit_vlr.tasks import DirectAnswers, OptionChoice
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class AOKVQA(Benchmark):
    """A-OKVQA.

    Its training pictures include most test pictures of OK-VQA.

    Args:
        annotations: ``aokvqa_v1p0_{split}.json``.
        images: folder of the pictures, ``000000299207.jpg`` and so on.
        split: ``train``, ``val`` or ``test``, which has no labels.
        mode: ``direct`` asks for words and leaves out questions marked as too difficult for that, as the official
            evaluation does; ``choice`` asks for one of four.
        choose: between options by ``words`` or by ``likelihood``; see `lit_vlr.tasks.OptionChoice`.
        require_ten: refuse questions without exactly ten answers; by default that is a warning.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Schwenk et al., "A-OKVQA: A Benchmark for Visual Question Answering using World Knowledge", ECCV 2022.
    """

    name = "aokvqa"
    image_source = "coco"
    licence = "Apache-2.0"
    splits: ClassVar[Splits] = {"train": None, "val": 1145, "test": None}
    fetches = (
        Fetch("annotations", "https://prior-datasets.s3.us-east-2.amazonaws.com/aokvqa/aokvqa_v1p0.tar.gz"),
        TRAIN2017,
        VAL2017,
        TEST2017,
    )

    annotations: Path
    images: Path
    split: str = "val"
    mode: Literal["direct", "choice"] = "direct"
    choose: Literal["words", "likelihood"] = "words"
    require_ten: bool = False

    @classmethod
    def at(cls, root: Path, split: str = "val") -> Self:
        """``root`` holds the file and the folder ``{split}2017`` of pictures."""
        return cls(annotations=root / f"aokvqa_v1p0_{split}.json", images=root / f"{split}2017", split=split)

    @property
    def own_task(self) -> Task:
        """A few words, or a letter."""
        return (
            Task(DirectAnswers(), SHORT, 10) if self.mode == "direct" else Task(OptionChoice(self.choose), LETTER, 10)
        )

    @property
    def prefix(self) -> str:
        """Both ways of asking are different samples."""
        return f"{self.name}{'' if self.mode == 'direct' else '_choice'}/{self.split}"

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        rows = once(
            ((record.identifier("question_id"), record) for record in read_rows(self.annotations)), "question_id"
        )
        samples = [self._sample(record.named(f"{self.prefix}/{key}"), pictures) for key, record in rows]
        kept = [sample for sample in samples if sample is not None]
        if not kept:
            message = "Expected questions for direct answers but all are marked as too difficult; use `mode: choice`"
            raise DataFormatError(self.annotations, None, "", "difficult_direct_answer", message)
        if self.mode == "direct":
            check_ten(self.annotations, kept, self.require_ten, "direct_answers")
        return kept

    def _sample(self, record: Record, pictures: Pictures) -> Sample | None:
        image_id = record.integer("image_id")
        choices = record.texts("choices")
        if len(choices) > len(ascii_uppercase):
            record.fail("choices", f"Expected up to 26 choices but got {len(choices)}")
        answers: tuple[str, ...] = ()
        difficult = record.get("difficult_direct_answer")
        if not isinstance(difficult, bool):
            record.fail("difficult_direct_answer", f"Expected true or false but got {difficult!r}")
        if self.split != "test":
            right = ascii_uppercase[record.place("correct_choice_idx", len(choices))]
            answers = record.texts("direct_answers") if self.mode == "direct" else (right,)
        sample = Sample(
            record.uid,
            pictures.path(record, "image_id", f"{image_id:012d}.jpg"),
            str(image_id),
            record.text("question"),
            answers,
            {"difficult_direct_answer": difficult},
            choices=choices if self.mode == "choice" else (),
            task=self.task,
            image_source=self.image_source,
        )
        return None if difficult and self.mode == "direct" else sample
