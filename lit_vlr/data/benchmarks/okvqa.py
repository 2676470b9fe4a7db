"""OK-VQA: questions that need knowledge from outside of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._coco import TRAIN2014, VAL2014
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.okvqa import COCO_PATTERN, read_okvqa
from lit_vlr.data.okvqa.read import AnswerField
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import VQAAccuracy
from lit_vlr.types import Sample, Task

_PAGE = "https://okvqa.allenai.org/static/data"


@dataclass(frozen=True, kw_only=True)
class OKVQA(Benchmark):
    """OK-VQA, or anything written by `lit_vlr.data.okvqa.write_okvqa`; see `lit_vlr.data.okvqa.read_okvqa`.

    Args:
        questions: ``OpenEnded_mscoco_{split}_questions.json``.
        annotations: ``mscoco_{split}_annotations.json``; None where there are no labels.
        images: folder of the pictures.
        split: ``train2014`` or ``val2014``.
        answer_field: ``answer`` is stemmed ("ride" for "riding"), ``raw_answer`` is as typed.
        image_pattern: file name of a picture.
        require_ten: refuse questions without exactly ten answers; by default that is a warning.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Marino et al., "OK-VQA: A Visual Question Answering Benchmark Requiring External Knowledge", CVPR 2019.
    """

    name = "okvqa"
    image_source = "coco"
    licence = "CC BY 4.0"
    splits: ClassVar[Splits] = {"train2014": 9009, "val2014": 5046}
    fetches = (
        Fetch("questions of train2014", f"{_PAGE}/OpenEnded_mscoco_train2014_questions.json.zip"),
        Fetch("annotations of train2014", f"{_PAGE}/mscoco_train2014_annotations.json.zip"),
        Fetch("questions of val2014", f"{_PAGE}/OpenEnded_mscoco_val2014_questions.json.zip"),
        Fetch("annotations of val2014", f"{_PAGE}/mscoco_val2014_annotations.json.zip"),
        TRAIN2014,
        VAL2014,
    )

    questions: Path
    annotations: Path | None = None
    images: Path
    split: str = "val2014"
    answer_field: AnswerField = "answer"
    image_pattern: str = COCO_PATTERN
    require_ten: bool = False

    @classmethod
    def at(cls, root: Path, split: str = "val2014") -> Self:
        """``root`` holds both files and a folder of pictures named like the split."""
        return cls(
            questions=root / f"OpenEnded_mscoco_{split}_questions.json",
            annotations=root / f"mscoco_{split}_annotations.json",
            images=root / split,
            split=split,
        )

    @property
    def own_task(self) -> Task:
        """Soft accuracy of a few words."""
        return Task(VQAAccuracy(), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in the order of the questions."""
        return read_okvqa(
            self.questions,
            self.annotations,
            self.images,
            split=self.split,
            answer_field=self.answer_field,
            image_pattern=self.image_pattern,
            task=self.task,
            image_source=self.image_source,
            require_ten=self.require_ten,
        )
