"""Writes shards, one sample at a time, all or nothing."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lit_vlr.data.images import load_pixels
from lit_vlr.data.shards.read import HEAD, IMAGES, shard_name
from lit_vlr.data.splits import ImageKey, image_key
from lit_vlr.data.staging import publish, staging
from lit_vlr.errors import UserError
from lit_vlr.tasks.written import task_to_json
from lit_vlr.types import Sample

_KEPT = (".jpg", ".jpeg", ".png", ".webp")


def write_shards(samples: Iterable[Sample], folder: Path, shard_size: int = 1000) -> int:
    """Write samples as shards, all or nothing; one sample at a time is held, and all uids.

    Files are copied as they are, whatever else a picture may be is written as PNG.

    Args:
        samples: all of one task.
        folder: where to; made if missing.
        shard_size: samples a shard.

    Returns:
        The number of samples.

    Raises:
        UserError: if there are none, their tasks differ, a uid is there twice, or the folder has a set already.
        ImageError: if a picture cannot be used.
    """
    if shard_size < 1:
        raise UserError(f"Expected `shard_size` of at least 1 but got {shard_size}")
    keys: set[ImageKey] = set()
    uids: set[str] = set()
    with staging(folder) as stage:
        counts: list[int] = []
        task: list[dict[str, Any] | None] = []
        for number, group in enumerate(_groups(samples, shard_size)):
            rows = []
            with tarfile.open(stage / shard_name(number), "w", format=tarfile.PAX_FORMAT) as tar:
                for place, sample in enumerate(group):
                    written = task_to_json(sample.task)
                    if written not in (task or [written]):
                        raise UserError(f"Expected one task but that of {sample.uid} is another; write two sets")
                    task[:] = [written]
                    if sample.uid in uids:
                        raise UserError(f"Expected each uid once but {sample.uid} is there twice; leave one out")
                    uids.add(sample.uid)
                    keys.add(image_key(sample))
                    suffix, picture = _bytes(sample)
                    name = f"{sum(counts) + place:09d}"
                    row = json.dumps(_to_row(sample), allow_nan=False).encode()
                    rows.append([*_add(tar, f"{name}.json", row), *_add(tar, f"{name}{suffix}", picture)])
            np.save(stage / f"{shard_name(number)}.npy", np.array(rows, np.int64), allow_pickle=False)
            counts.append(len(rows))
        if not counts:
            raise UserError("Expected samples to write but got none")
        (stage / IMAGES).write_text("".join(f"{a}\t{b}\n" for a, b in sorted(keys)), encoding="utf-8")
        (stage / HEAD).write_text(json.dumps({"shards": counts, "task": task[0]}), encoding="utf-8")
        # The head last: without it there is no set.
        names = sorted((path.name for path in stage.iterdir()), key=lambda name: (name == HEAD, name))
        publish(stage, [folder / name for name in names])
    return sum(counts)


def _groups(samples: Iterable[Sample], size: int) -> Iterator[Iterator[Sample]]:
    """Runs of up to ``size`` samples, none of them held; each run has to be used up before the next."""
    rest = iter(samples)

    def run(first: Sample) -> Iterator[Sample]:
        yield first
        for _, sample in zip(range(size - 1), rest, strict=False):
            yield sample

    for sample in rest:
        yield run(sample)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> tuple[int, int]:
    """Add a member; where its content is."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, BytesIO(content))
    padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return tar.offset - padded, len(content)


def _bytes(sample: Sample) -> tuple[str, bytes]:
    pixels = load_pixels(sample.image, sample.uid)  # also for its errors: a broken picture is found while writing
    if isinstance(sample.image, Path) and sample.image.suffix.lower() in _KEPT:
        return sample.image.suffix.lower(), sample.image.read_bytes()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return ".png", buffer.getvalue()


def _to_row(sample: Sample) -> dict[str, Any]:
    return {
        "uid": sample.uid,
        "image_id": sample.image_id,
        "image_source": sample.image_source,
        "question": sample.question,
        "answers": list(sample.answers),
        "choices": list(sample.choices),
        "box": None if sample.box is None else list(sample.box),
        "metadata": dict(sample.metadata),
    }
