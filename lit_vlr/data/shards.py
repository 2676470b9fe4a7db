"""Sets that are larger than memory: tar files of samples, of which nothing is read before it is needed.

A shard is a plain tar file of pairs ``000000007.json`` and ``000000007.jpg`` (the layout of WebDataset). Beside it lies
an index of where each member stands, 32 bytes a sample, which is mapped and not read; and for the whole set
``set.json`` with the task, and ``images.txt`` with the keys of all pictures, so that leakage is found without a walk
through the shards.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.images import decode, load_pixels
from lit_vlr.data.parsing import read_document
from lit_vlr.data.records import Record
from lit_vlr.data.source import Source
from lit_vlr.data.splits import ImageKey, image_key
from lit_vlr.data.staging import publish, staging
from lit_vlr.errors import UserError
from lit_vlr.tasks.written import task_from_json, task_to_json
from lit_vlr.types import Sample, Task

_KEPT = (".jpg", ".jpeg", ".png", ".webp")
_HEAD, _IMAGES = "set.json", "images.txt"


@dataclass(frozen=True)
class ShardPicture:
    """A picture inside a shard, read when it is needed; see `lit_vlr.types.PictureSource`."""

    shard: Path
    offset: int
    size: int

    def pixels(self, uid: str) -> np.ndarray:
        """The picture."""
        return decode(read_at(self.shard, self.offset, self.size), f"{self.shard} at byte {self.offset} ({uid})")


class ShardSamples(Sequence[Sample]):
    """The samples of a folder of shards, each read when it is asked for.

    Args:
        folder: what `write_shards` wrote.

    Attributes:
        blocks: samples of each shard; an order that stays within a few of them reads the files nearly in sequence.

    Raises:
        DataFormatError: if a shard, its index or the head of the set is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        head = read_document(folder / _HEAD)
        self.folder = folder
        self.blocks = [_count(head, n) for n in head.get("shards")] if isinstance(head.get("shards"), list) else []
        if not self.blocks:
            head.fail("shards", "Expected the number of samples of each shard; write the set again")
        try:
            self.task: Task | None = task_from_json(head.get("task"))
        except UserError as error:
            head.fail("task", str(error))
        self._ends = np.cumsum(self.blocks)
        self._indices: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | list[Sample]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        number = int(np.searchsorted(self._ends, place, side="right"))
        within = place - int(self._ends[number]) + self.blocks[number]
        shard = self.folder / _shard(number)
        start, size, image_start, image_size = map(int, self._index(number)[within])
        row = _parsed(shard, place, read_at(shard, start, size))
        return _from_row(row, ShardPicture(shard, image_start, image_size), self.task)

    def image_keys(self) -> Iterator[ImageKey]:
        """The keys of all pictures, each once."""
        file = self.folder / _IMAGES
        try:
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    source, _, image_id = line.rstrip("\n").partition("\t")
                    yield source, image_id
        except OSError as error:
            raise DataFormatError(file, None, "", "", f"Expected the pictures of the set but {error}") from error

    def _index(self, number: int) -> np.ndarray:
        if number not in self._indices:
            file = self.folder / f"{_shard(number)}.npy"
            try:
                index = np.load(file, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataFormatError(file, None, "", "", f"Expected the index of a shard but {error}") from error
            if index.shape != (self.blocks[number], 4) or index.dtype != np.int64:
                message = f"Expected {self.blocks[number]} rows of 4 places but got {index.shape}; write the set again"
                raise DataFormatError(file, None, "", "", message)
            self._indices[number] = index
        return self._indices[number]


@dataclass(frozen=True)
class ShardSet(Source):
    """A folder of shards.

    Args:
        folder: what `write_shards`, or `lit-vlr data shard`, wrote.
    """

    folder: Path

    def read(self) -> ShardSamples:
        """The samples, lazily."""
        return ShardSamples(self.folder)

    def __str__(self) -> str:
        return f"shards of {self.folder.name}"


def write_shards(samples: Iterable[Sample], folder: Path, shard_size: int = 1000) -> int:
    """Write samples as shards, all or nothing; one sample at a time is held.

    Files are copied as they are, whatever else a picture may be is written as PNG.

    Args:
        samples: all of one task.
        folder: where to; made if missing.
        shard_size: samples a shard.

    Returns:
        The number of samples.

    Raises:
        UserError: if there are none, their tasks differ, or the folder has a set already.
        ImageError: if a picture cannot be used.
    """
    if shard_size < 1:
        raise UserError(f"Expected `shard_size` of at least 1 but got {shard_size}")
    keys: set[ImageKey] = set()
    with staging(folder) as stage:
        counts: list[int] = []
        task: list[dict[str, Any] | None] = []
        for number, group in enumerate(_groups(samples, shard_size)):
            rows = []
            with tarfile.open(stage / _shard(number), "w", format=tarfile.PAX_FORMAT) as tar:
                for place, sample in enumerate(group):
                    written = task_to_json(sample.task)
                    if written not in (task or [written]):
                        raise UserError(f"Expected one task but that of {sample.uid} is another; write two sets")
                    task[:] = [written]
                    keys.add(image_key(sample))
                    suffix, picture = _bytes(sample)
                    name = f"{sum(counts) + place:09d}"
                    row = json.dumps(_to_row(sample), allow_nan=False).encode()
                    rows.append([*_add(tar, f"{name}.json", row), *_add(tar, f"{name}{suffix}", picture)])
            np.save(stage / f"{_shard(number)}.npy", np.array(rows, np.int64), allow_pickle=False)
            counts.append(len(rows))
        if not counts:
            raise UserError("Expected samples to write but got none")
        (stage / _IMAGES).write_text("".join(f"{a}\t{b}\n" for a, b in sorted(keys)), encoding="utf-8")
        (stage / _HEAD).write_text(json.dumps({"shards": counts, "task": task[0]}), encoding="utf-8")
        # The head last: without it there is no set.
        names = sorted((path.name for path in stage.iterdir()), key=lambda name: (name == _HEAD, name))
        publish(stage, [folder / name for name in names])
    return sum(counts)


def read_at(file: Path, offset: int, size: int) -> bytes:
    """Bytes of a file; no handle stays open, for workers are forked.

    Raises:
        DataFormatError: if the file is missing or shorter.
    """
    try:
        with file.open("rb", buffering=0) as opened:
            content = os.pread(opened.fileno(), size, offset)
    except OSError as error:
        raise DataFormatError(file, None, "", "", f"Expected a shard but {error}; write the set again") from error
    if len(content) != size:
        message = f"Expected {size} bytes at {offset} but the file ends before; copy it again"
        raise DataFormatError(file, None, "", "", message)
    return content


def _shard(number: int) -> str:
    return f"shard-{number:05d}.tar"


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


def _from_row(record: Record, image: ShardPicture, task: Task | None) -> Sample:
    named = record.named(record.text("uid"))
    box = None if named.get("box") is None else named.numbers("box", 4)
    return Sample(
        named.uid,
        image,
        named.text("image_id"),
        named.text("question"),
        named.texts("answers") if named.get("answers") else (),
        named.mapping("metadata"),
        choices=named.texts("choices") if named.get("choices") else (),
        box=None if box is None else (box[0], box[1], box[2], box[3]),
        task=task,
        image_source=str(named.get("image_source")),
    )


def _parsed(shard: Path, place: int, content: bytes) -> Record:
    try:
        row = json.loads(content)
    except ValueError as error:
        message = f"Expected a sample but it cannot be parsed ({error}); write the set again"
        raise DataFormatError(shard, place, "", "", message) from error
    if not isinstance(row, dict):
        raise DataFormatError(shard, place, "", "", "Expected a sample but got no object; write the set again")
    return Record(shard, row, place)


def _count(head: Record, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        head.fail("shards", f"Expected numbers of samples but got {value!r}; write the set again")
    return value
