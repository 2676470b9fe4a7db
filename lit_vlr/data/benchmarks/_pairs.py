"""JSON lines of picture, question and answer: how several benchmarks are passed around."""

from __future__ import annotations

from pathlib import Path

from lit_vlr.data.parsing import read_lines
from lit_vlr.data.pictures import Pictures, stem
from lit_vlr.data.records import once
from lit_vlr.types import Sample, Task


def read_pairs(
    file: Path, images: Path, prefix: str, task: Task, image_source: str, labelled: bool = True
) -> list[Sample]:
    """Read lines of ``image``, ``question``, ``answer`` and perhaps ``question_id``, which is else the line, from 0."""
    pictures = Pictures(images)
    rows = [
        (record.identifier("question_id") if "question_id" in record.row else str(record.index), record)
        for record in read_lines(file)
    ]
    samples = []
    for key, bare in once(rows, "question_id"):
        record = bare.named(f"{prefix}/{key}")
        image = record.text("image")
        samples.append(
            Sample(
                record.uid,
                pictures.path(record, "image", image),
                stem(image),
                record.text("question"),
                (record.text("answer"),) if labelled else (),
                task=task,
                image_source=image_source,
            )
        )
    return samples
