"""Rows whose columns are called anything: a map from what a sample needs to the names of the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import ClassVar

from lit_vlr.data.records import Record, quote
from lit_vlr.data.source import Benchmark, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import ExactMatch
from lit_vlr.types import AnswerMetric, ImageRef, Sample, Task

NEEDED = ("id", "image", "question")
OPTIONAL = ("answers", "choices", "image_id")


@dataclass(frozen=True, kw_only=True)
class MappedRows(Benchmark):
    """What data of one's own and the hub's tables have in common.

    Args:
        split: second part of the uids.
        dataset: first part of the uids.
        fields: what the columns are called where they are not called so: ``{question: Frage}``. What is mapped has to
            be there; ``answers``, ``choices`` and ``image_id`` may be missing otherwise. Columns that nothing is mapped
            to are kept as metadata if their values are text or whole numbers.
        metric: what an answer is worth.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.
    """

    image_source = "own"
    splits: ClassVar[Splits] = {}
    fetches = ()

    split: str = "test"
    dataset: str = "own"
    fields: Mapping[str, str] = field(default_factory=dict)
    metric: AnswerMetric = field(default=ExactMatch("lower"))

    @property
    def own_task(self) -> Task:
        """The metric, asked plainly."""
        return Task(self.metric)

    @property
    def prefix(self) -> str:
        """``dataset/split``."""
        return f"{self.dataset}/{self.split}"

    def column(self, name: str) -> str:
        """What a column is called."""
        return self.fields.get(name, name)

    @property
    def required(self) -> list[str]:
        """The columns that have to be there: a label that a wrong map would lose must not go unnoticed."""
        return [self.column(name) for name in (*NEEDED, *OPTIONAL) if name in NEEDED or name in self.fields]

    def check_fields(self) -> None:
        """Refuse a map of fields that there are none of."""
        if unknown := sorted(set(self.fields) - {*NEEDED, *OPTIONAL}):
            raise UserError(f"Expected `fields` to map {', '.join((*NEEDED, *OPTIONAL))} but got {unknown}")

    def texts(self, record: Record, name: str) -> tuple[str, ...]:
        """A list of texts, or one text; empty where the column is not there."""
        column = self.column(name)
        if record.row.get(column) is None:
            return ()
        value = record.row[column]
        if isinstance(value, str):
            record = Record(record.file, {column: [value]}, record.index, record.uid)
        return record.texts(column)

    def sample(self, record: Record, image: ImageRef, image_id: str) -> Sample:
        """The sample of a row.

        Args:
            record: the row, with its uid.
            image: its picture.
            image_id: what the picture is called, where no column says so.
        """
        choices = self.texts(record, "choices")
        if len(choices) > len(ascii_uppercase):
            record.fail(self.column("choices"), f"Expected up to 26 choices but got {len(choices)}")
        known = {self.column(name) for name in (*NEEDED, *OPTIONAL)}
        rest = {key: value for key, value in record.row.items() if key not in known and isinstance(value, str | int)}
        column = self.column("image_id")
        return Sample(
            record.uid,
            image,
            record.identifier(column) if column in record.row else image_id,
            record.text(self.column("question")),
            self._letters(record, choices) if choices else self.texts(record, "answers"),
            rest,
            choices=choices,
            task=self.task,
            image_source=self.dataset,
        )

    def _letters(self, record: Record, choices: tuple[str, ...]) -> tuple[str, ...]:
        """The right options as letters, whether they are given as letters or as their texts."""
        letters = ascii_uppercase[: len(choices)]
        right = []
        for answer in self.texts(record, "answers"):
            if answer in choices:
                right.append(letters[choices.index(answer)])
            elif answer in list(letters):
                right.append(answer)
            else:
                column = self.column("answers")
                record.fail(column, f"Expected one of {list(letters)} or of the choices but got {quote(answer)}")
        return tuple(right)
