"""Reads shards piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.images import decode
from lit_vlr.data.parsing import read_document
from lit_vlr.data.records import Record
from lit_vlr.data.source import Source
from lit_vlr.data.splits import ImageKey
from lit_vlr.errors import UserError
from lit_vlr.tasks.written import task_from_json
from lit_vlr.types import Sample, Task

HEAD, IMAGES = "set.json", "images.txt"


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
        head = read_document(folder / HEAD)
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
        shard = self.folder / shard_name(number)
        start, size, image_start, image_size = map(int, self._index(number)[within])
        row = _parsed(shard, place, read_at(shard, start, size))
        return _from_row(row, ShardPicture(shard, image_start, image_size), self.task)

    def image_keys(self) -> Iterator[ImageKey]:
        """The keys of all pictures, each once."""
        file = self.folder / IMAGES
        try:
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    source, _, image_id = line.rstrip("\n").partition("\t")
                    yield source, image_id
        except OSError as error:
            raise DataFormatError(file, None, "", "", f"Expected the pictures of the set but {error}") from error

    def _index(self, number: int) -> np.ndarray:
        if number not in self._indices:
            file = self.folder / f"{shard_name(number)}.npy"
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


def shard_name(number: int) -> str:
    """What the file of a shard is called."""
    return f"shard-{number:05d}.tar"


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
