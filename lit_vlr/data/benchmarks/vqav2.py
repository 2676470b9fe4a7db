"""VQAv2: questions with balanced pairs of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._coco import TEST2015, TRAIN2014, VAL2014
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.data.vqa_format import VQAFormat, kinds
from lit_vlr.tasks import VQAAccuracy
from lit_vlr.types import Sample, Task

_PAGE = "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa"


@dataclass(frozen=True, kw_only=True)
class VQAv2(Benchmark):
    """VQAv2.

    Args:
        questions: ``v2_OpenEnded_mscoco_{split}_questions.json``.
        annotations: ``v2_mscoco_{split}_annotations.json``; None for the test splits, which a server scores:
            `lit-vlr data export --to vqav2` writes what it takes.
        images: folder of the pictures; those of ``test-dev2015`` are in ``test2015``.
        split: ``train2014``, ``val2014``, ``test-dev2015`` or ``test2015``.
        require_ten: refuse questions without exactly ten answers; by default that is a warning.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Goyal et al., "Making the V in VQA Matter", CVPR 2017.
    """

    name = "vqav2"
    image_source = "coco"
    licence = "CC BY 4.0"
    splits: ClassVar[Splits] = {
        "train2014": 443757,
        "val2014": 214354,
        "test2015": 447793,
        "test-dev2015": None,
    }
    fetches = (
        Fetch("questions of train2014", f"{_PAGE}/v2_Questions_Train_mscoco.zip"),
        Fetch("annotations of train2014", f"{_PAGE}/v2_Annotations_Train_mscoco.zip"),
        Fetch("questions of val2014", f"{_PAGE}/v2_Questions_Val_mscoco.zip"),
        Fetch("annotations of val2014", f"{_PAGE}/v2_Annotations_Val_mscoco.zip"),
        Fetch("questions of both test splits", f"{_PAGE}/v2_Questions_Test_mscoco.zip"),
        TRAIN2014,
        VAL2014,
        TEST2015,
    )

    questions: Path
    annotations: Path | None = None
    images: Path
    split: str = "val2014"
    require_ten: bool = False

    @classmethod
    def at(cls, root: Path, split: str = "val2014") -> Self:
        """``root`` holds both files and a folder of pictures."""
        labelled = not split.startswith("test")
        return cls(
            questions=root / f"v2_OpenEnded_mscoco_{split}_questions.json",
            annotations=root / f"v2_mscoco_{split}_annotations.json" if labelled else None,
            images=root / _pictures_of(split),
            split=split,
        )

    @property
    def own_task(self) -> Task:
        """Soft accuracy of a few words."""
        return Task(VQAAccuracy(), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in the order of the questions."""
        pictures = _pictures_of(self.split)
        return VQAFormat(
            prefix=self.prefix,
            image_name=lambda image_id: f"COCO_{pictures}_{image_id:012d}.jpg",
            labels=kinds("question_type", "answer_type"),
            annotation_fields=("question_type", "answer_type"),
            task=self.task,
            image_source=self.image_source,
            require_ten=self.require_ten,
        ).read(self.questions, self.annotations, self.images)


def _pictures_of(split: str) -> str:
    return split.replace("test-dev", "test")
