"""NoCaps: captions of things that COCO's captions do not mention."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lit_vlr.data.benchmarks._captions import MAX_NEW_TOKENS, read_captions
from lit_vlr.data.source import Benchmark, Fetch, Splits
from lit_vlr.tasks import Captions
from lit_vlr.types import Sample, Task


@dataclass(frozen=True, kw_only=True)
class NoCaps(Benchmark):
    """NoCaps; ``metadata["domain"]`` is in-domain, near-domain or out-domain.

    Args:
        annotations: ``nocaps_val_4500_captions.json``.
        images: folder of the pictures.
        split: ``val``, or ``test``, which has no captions.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.

    Reference:
        Agrawal et al., "nocaps: novel object captioning at scale", ICCV 2019.
    """

    name = "nocaps"
    image_source = "openimages"
    licence = "CC BY 2.0"
    splits: ClassVar[Splits] = {"val": 4500, "test": 10600}
    fetches = (
        Fetch("captions of val", "https://nocaps.s3.amazonaws.com/nocaps_val_4500_captions.json"),
        Fetch("pictures", "https://nocaps.org/download"),
    )

    annotations: Path
    images: Path
    split: str = "val"

    @classmethod
    def at(cls, root: Path, split: str = "val") -> Self:
        """``root`` holds the file and the folder of pictures named like the split."""
        name = "nocaps_val_4500_captions.json" if split == "val" else f"nocaps_{split}_image_info.json"
        return cls(annotations=root / name, images=root / split, split=split)

    @property
    def own_task(self) -> Task:
        """One sentence."""
        return Task(Captions(), max_new_tokens=MAX_NEW_TOKENS)

    def read(self) -> list[Sample]:
        """Samples in the order of the pictures."""
        return read_captions(
            self.annotations,
            self.images,
            self.prefix,
            self.task,
            self.image_source,
            lambda record: record.identifier("open_images_id"),
            fields=("domain",),
            labelled=self.split != "test",
        )
