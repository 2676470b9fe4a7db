"""Data of one's own: JSON or a table, with a map from what is needed to what its columns are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lit_vlr.data.benchmarks._mapped import MappedRows
from lit_vlr.data.parsing import read_lines, read_rows, read_table
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, once
from lit_vlr.errors import UserError
from lit_vlr.types import Sample


@dataclass(frozen=True, kw_only=True)
class OwnData(MappedRows):
    """Rows of id, image, question and perhaps answers, choices and image_id.

    Args:
        file: ``.jsonl``, ``.json`` (a list), ``.csv`` or ``.tsv``.
        images: folder that ``image`` is relative to.
        split: second part of the uids.
        dataset: first part of the uids.
        fields: what the columns are called where they are not called so: ``{question: Frage}``. What is mapped has to
            be there; ``answers``, ``choices`` and ``image_id`` may be missing otherwise. Columns that nothing is mapped
            to are kept as metadata if their values are text or whole numbers.
        metric: what an answer is worth.
        answers_separator: between several answers, or choices, in one cell of a table.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.
    """

    name = "own"

    file: Path
    images: Path
    answers_separator: str = "|"

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds ``{split}.jsonl`` and what ``image`` is relative to."""
        return cls(file=root / f"{split}.jsonl", images=root, split=split)

    def read(self) -> list[Sample]:
        """Samples in their order.

        Raises:
            UserError: if a field is mapped that there is none of, or the file is of another kind.
        """
        self.check_fields()
        pictures = Pictures(self.images)
        records = self._records()
        for column in self.required:
            if not any(column in record.row for record in records):
                records[0].get(column)  # which says what there is instead
        rows = ((record.identifier(self.column("id")), record) for record in records)
        samples = []
        for key, bare in once(rows, self.column("id")):
            record = bare.named(f"{self.prefix}/{key}")
            image = record.text(self.column("image"))
            samples.append(self.sample(record, pictures.path(record, self.column("image"), image), image))
        return samples

    def _records(self) -> list[Record]:
        match self.file.suffix:
            case ".jsonl":
                return read_lines(self.file)
            case ".json":
                return read_rows(self.file)
            case ".csv" | ".tsv" as suffix:
                rows = read_table(self.file, self.required, "," if suffix == ".csv" else "\t")
                return [self._split_cells(row) for row in rows]
            case suffix:
                raise UserError(f"Expected `file` to be .jsonl, .json, .csv or .tsv but got {suffix or 'no suffix'!r}")

    def _split_cells(self, record: Record) -> Record:
        """A row of a table with lists where a cell holds several texts."""
        row = dict(record.row)
        for name in ("answers", "choices"):
            column = self.column(name)
            if column in row:
                row[column] = [part.strip() for part in row[column].split(self.answers_separator)]
        return Record(record.file, row, record.index)
