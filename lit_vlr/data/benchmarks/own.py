"""Data of one's own: JSON lines or a table, with a map from what is needed to what its columns are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar, Self

from lit_vlr.data.parsing import read_lines, read_rows, read_table
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once, quote
from lit_vlr.data.source import Benchmark, Splits
from lit_vlr.errors import UserError
from lit_vlr.tasks import ExactMatch
from lit_vlr.types import AnswerMetric, Sample, Task

NEEDED = ("id", "image", "question")
OPTIONAL = ("answers", "choices", "image_id")


@dataclass(frozen=True, kw_only=True)
class OwnData(Benchmark):
    """Rows of id, image, question and perhaps answers, choices and image_id.

    Args:
        file: ``.jsonl``, ``.json`` (a list), ``.csv`` or ``.tsv``.
        images: folder that ``image`` is relative to.
        split: second part of the uids.
        dataset: first part of the uids.
        fields: what the columns are called where they are not called so: ``{question: Frage}``. Columns that are
            mapped to nothing are kept as metadata if their values are text or numbers.
        metric: what an answer is worth.
        answers_separator: between several answers, or choices, in one cell of a table.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.
    """

    name = "own"
    image_source = "own"
    splits: ClassVar[Splits] = {}
    fetches = ()

    file: Path
    images: Path
    split: str = "test"
    dataset: str = "own"
    fields: Mapping[str, str] = field(default_factory=dict)
    metric: AnswerMetric = field(default=ExactMatch("lower"))
    answers_separator: str = "|"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds ``{split}.jsonl`` and what ``image`` is relative to."""
        return cls(file=root / f"{split}.jsonl", images=root, split=split)

    @property
    def own_task(self) -> Task:
        """The metric, asked plainly."""
        return Task(self.metric)

    @property
    def prefix(self) -> str:
        """``dataset/split``."""
        return f"{self.dataset}/{self.split}"

    def read(self) -> list[Sample]:
        """Samples in their order.

        Raises:
            UserError: if a field is mapped that there is none of, or the file is of another kind.
        """
        if unknown := sorted(set(self.fields) - {*NEEDED, *OPTIONAL}):
            raise UserError(f"Expected `fields` to map {', '.join((*NEEDED, *OPTIONAL))} but got {unknown}")
        pictures = Pictures(self.images)
        match self.file.suffix:
            case ".jsonl":
                records = read_lines(self.file)
            case ".json":
                records = read_rows(self.file)
            case ".csv" | ".tsv" as suffix:
                columns = [self._column(name) for name in NEEDED]
                records = read_table(self.file, columns, "," if suffix == ".csv" else "\t")
            case suffix:
                raise UserError(f"Expected `file` to be .jsonl, .json, .csv or .tsv but got {suffix or 'no suffix'!r}")
        rows = [(record.identifier(self._column("id")), record) for record in records]
        return [self._sample(r.named(f"{self.prefix}/{key}"), pictures) for key, r in once(rows, self._column("id"))]

    def _column(self, name: str) -> str:
        return self.fields.get(name, name)

    def _sample(self, record: Record, pictures: Pictures) -> Sample:
        image = record.text(self._column("image"))
        choices = self._texts(record, "choices")
        if len(choices) > len(ascii_uppercase):
            record.fail(self._column("choices"), f"Expected up to 26 choices but got {len(choices)}")
        image_id = self._column("image_id")
        known = {self._column(name) for name in (*NEEDED, *OPTIONAL)}
        rest = {key: value for key, value in record.row.items() if key not in known and isinstance(value, str | int)}
        return Sample(
            record.uid,
            pictures.path(record, self._column("image"), image),
            record.identifier(image_id) if image_id in record.row else image,
            record.text(self._column("question")),
            self._letters(record, choices) if choices else self._texts(record, "answers"),
            rest,
            choices=choices,
            task=self.task,
            image_source=self.dataset,
        )

    def _texts(self, record: Record, name: str) -> tuple[str, ...]:
        """A list, or one text, or several in a cell; empty where the column is not there."""
        column = self._column(name)
        if column not in record.row:
            return ()
        value = record.row[column]
        if isinstance(value, str):
            table = self.file.suffix in (".csv", ".tsv")
            value = [part.strip() for part in value.split(self.answers_separator)] if table else [value]
            record = Record(record.file, {column: value}, record.index, record.uid)
        return record.texts(column)

    def _letters(self, record: Record, choices: tuple[str, ...]) -> tuple[str, ...]:
        """The right options as letters, whether they are given as letters or as their texts."""
        letters = ascii_uppercase[: len(choices)]
        right = []
        for answer in self._texts(record, "answers"):
            if answer in choices:
                right.append(letters[choices.index(answer)])
            elif answer in letters:
                right.append(answer)
            else:
                column = self._column("answers")
                record.fail(column, f"Expected one of {list(letters)} or of the choices but got {quote(answer)}")
        return tuple(right)
