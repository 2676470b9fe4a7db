"""Captions in COCO's format: a list of pictures and a list of what people said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from lit_vlr.data.parsing import read_document
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once
from lit_vlr.types import Sample, Task

QUESTION = "Describe the picture in one short sentence."
MAX_NEW_TOKENS = 30


def read_captions(
    file: Path,
    images: Path,
    prefix: str,
    task: Task,
    image_source: str,
    image_id: Callable[[Record], str],
    fields: tuple[str, ...] = (),
    labelled: bool = True,
) -> list[Sample]:
    """One sample a picture, in the order of the pictures; ``fields`` of the picture go into the metadata."""
    pictures = Pictures(images)
    document = read_document(file)
    rows = once(((record.integer("id"), record) for record in document.records("images")), "id")
    known = {key for key, _ in rows}
    captions: dict[int, list[str]] = defaultdict(list)
    for said in document.records("annotations") if labelled else ():
        key = said.integer("image_id")
        if key not in known:
            said.fail("image_id", f"Expected one of the {len(known)} `images` but got {key}; are both of one split?")
        captions[key].append(said.text("caption"))
    samples = []
    for key, bare in rows:
        record = bare.named(f"{prefix}/{key}")
        if labelled and key not in captions:
            record.fail("id", f"Expected captions in `annotations` but there are none of picture {key}")
        samples.append(
            Sample(
                record.uid,
                pictures.path(record, "file_name", record.text("file_name")),
                image_id(record),
                QUESTION,
                tuple(captions[key]) if labelled else (),
                {name: record.text(name) for name in fields if name in record.row},
                task=task,
                image_source=image_source,
            )
        )
    return samples
