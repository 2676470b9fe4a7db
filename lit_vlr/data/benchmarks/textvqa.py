"""TextVQA: questions about the text in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._prompts import SHORT
from lit_vlr.data.parsing import read_document
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.data.vqa_format import check_ten
from lit_vlr.tasks import VQAAccuracy
from lit_vlr.types import Sample, Task

_PAGE = "https://dl.fbaipublicfiles.com/textvqa"


@dataclass(frozen=True, kw_only=True)
class TextVQA(Benchmark):
    """TextVQA.

    Published figures use the ``evalai`` dialect of VQA accuracy.

    Args:
        annotations: ``TextVQA_0.5.1_{split}.json``.
        images: folder of the pictures, ``{image_id}.jpg``.
        split: ``train``, ``val`` or ``test``, which has no labels.
        require_ten: refuse questions without exactly ten answers; by default that is a warning.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Singh et al., "Towards VQA Models That Can Read", CVPR 2019.
    """

    name = "textvqa"
    image_source = "openimages"
    licence = "CC BY 4.0"
    splits: ClassVar[Splits] = {"train": 34602, "val": 5000, "test": 5734}
    fetches = (
        Fetch("annotations of val", f"{_PAGE}/data/TextVQA_0.5.1_val.json"),
        Fetch("annotations of train", f"{_PAGE}/data/TextVQA_0.5.1_train.json"),
        Fetch("pictures of train and val (7 GB)", f"{_PAGE}/images/train_val_images.zip"),
    )

    annotations: Path
    images: Path
    split: str = "val"
    require_ten: bool = False

    @classmethod
    def at(cls, root: Path, split: str = "val") -> Self:
        """``root`` holds the file and the folder ``train_images`` (``test_images``) of pictures."""
        folder = "test_images" if split == "test" else "train_images"
        return cls(annotations=root / f"TextVQA_0.5.1_{split}.json", images=root / folder, split=split)

    @property
    def own_task(self) -> Task:
        """Soft accuracy of a few words."""
        return Task(VQAAccuracy(), SHORT, 10)

    def read(self) -> list[Sample]:
        """Samples in their order."""
        pictures = Pictures(self.images)
        rows = ((record.integer("question_id"), record) for record in read_document(self.annotations).records("data"))
        samples = [self._sample(r.named(f"{self.prefix}/{key}"), pictures) for key, r in once(rows, "question_id")]
        check_ten(self.annotations, samples, self.require_ten)
        return samples

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image_id = record.identifier("image_id")
        return Sample(
            record.uid,
            pictures.path(record, "image_id", f"{image_id}.jpg"),
            image_id,
            record.text("question"),
            () if self.split == "test" else record.texts("answers"),
            task=self.task,
            image_source=self.image_source,
        )
