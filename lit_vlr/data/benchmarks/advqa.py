"""AdVQA: questions that people wrote to fool a VQA model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._coco import VAL2014
from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.data.vqa_format import VQAFormat
from lit_vlr.tasks import VQAAccuracy
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class AdVQA(Benchmark):
    """AdVQA.

    Args:
        questions: ``v1_OpenEnded_mscoco_val2017_advqa_questions.json``.
        annotations: ``v1_mscoco_val2017_advqa_annotations.json``; None where there are no labels.
        images: folder of the pictures, which are those of COCO's val2014 whatever the files are called.
        split: second part of the uids.
        require_ten: refuse questions without exactly ten answers; by default that is a warning.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Sheng et al., "Human-Adversarial Visual Question Answering", NeurIPS 2021.
    """

    name = "advqa"
    image_source = "coco"
    licence = "CC BY-NC 4.0"
    splits: ClassVar[Splits] = {"val2017": 10000}
    fetches = (Fetch("questions and annotations", "https://adversarialvqa.org/download.html"), VAL2014)

    questions: Path
    annotations: Path | None = None
    images: Path
    split: str = "val2017"
    require_ten: bool = False

    @classmethod
    def at(cls, root: Path, split: str = "val2017") -> Self:
        """``root`` holds both files and the folder ``val2014`` of pictures."""
        return cls(
            questions=root / f"v1_OpenEnded_mscoco_{split}_advqa_questions.json",
            annotations=root / f"v1_mscoco_{split}_advqa_annotations.json",
            images=root / "val2014",
            split=split,
        )

    @property
    def own_task(self) -> Task:
        """Soft accuracy of a few words."""
        return Task(VQAAccuracy(), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in the order of the questions."""
        return VQAFormat(
            prefix=self.prefix,
            image_name=lambda image_id: f"COCO_val2014_{image_id:012d}.jpg",
            task=self.task,
            image_source=self.image_source,
            require_ten=self.require_ten,
        ).read(self.questions, self.annotations, self.images)
