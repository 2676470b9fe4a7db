"""What gives samples: benchmarks in files, and what is made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self, TypeAlias

from lit_vlr.errors import UserError
from lit_vlr.types import Sample, Task

Splits: TypeAlias = Mapping[str, int | None]
"""Splits and how many samples they should have; None where that is not known."""


class Source(ABC):
    """A set of samples; constructing one reads nothing."""

    @abstractmethod
    def read(self) -> Sequence[Sample]:
        """All samples, always in the same order; a list unless it is read piece by piece (`ShardSet`).

        Raises:
            DataFormatError: if a file breaks its format.
        """

    def __str__(self) -> str:
        """A few words, for manifests."""
        return type(self).__name__


class Fetch(NamedTuple):
    """Something to be fetched by hand.

    Attributes:
        what: what it is.
        url: where from; a page where its terms have to be accepted first.
        into: where to unpack it, below the benchmark's folder.
    """

    what: str
    url: str
    into: str = "."


@dataclass(frozen=True, kw_only=True)
class Benchmark(Source):
    """A benchmark in its official files.

    Args:
        split: second part of the uids.
        prompt: the text around the question instead of the benchmark's own; see `lit_vlr.types.Task`.
        max_new_tokens: bound on an answer instead of the benchmark's own.
    """

    name: ClassVar[str]
    """First part of the uids."""
    image_source: ClassVar[str]
    """Within which image_ids say which picture it is: what leakage between benchmarks is found by."""
    licence: ClassVar[str] = "see its page"
    splits: ClassVar[Splits]
    fetches: ClassVar[tuple[Fetch, ...]]

    split: str
    prompt: str | None = None
    max_new_tokens: int | None = None

    @classmethod
    @abstractmethod
    def at(cls, root: Path, split: str = "") -> Self:
        """The benchmark below one folder, under its official names; each has a split by default."""

    @property
    @abstractmethod
    def own_task(self) -> Task:
        """How the benchmark asks and scores unless told otherwise."""

    @property
    def task(self) -> Task:
        """How its samples are asked and scored.

        Raises:
            UserError: if the prompt has no place for the question, or nothing may be generated.
        """
        task = self.own_task
        if self.prompt is not None:
            if self.prompt.count("{question}") != 1:
                raise UserError(f"Expected `prompt` with one {{question}} but got {self.prompt!r}")
            task = replace(task, prompt=self.prompt)
        if self.max_new_tokens is not None:
            if self.max_new_tokens < 1:
                raise UserError(f"Expected `max_new_tokens` of at least 1 but got {self.max_new_tokens}")
            task = replace(task, max_new_tokens=self.max_new_tokens)
        return task

    @property
    def prefix(self) -> str:
        """``dataset/split``."""
        return f"{self.name}/{self.split}"

    def __str__(self) -> str:
        """``dataset/split``."""
        return self.prefix
