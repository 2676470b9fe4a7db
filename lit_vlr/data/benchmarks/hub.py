"""Data sets of the hub, or Arrow and Parquet files, through the optional package ``datasets``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lit_vlr.data.benchmarks._mapped import MappedRows
from lit_vlr.data.records import Record, once, quote
from lit_vlr.data.table import TablePicture
from lit_vlr.errors import UserError
from lit_vlr.types import Sample

_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class HubData(MappedRows):
    """Rows of a hub data set at a pinned commit, or of local files.

    Script data sets are not loaded (``datasets`` no longer can). Official files are to be preferred where there are
    readers for them: copies on the hub differ in their splits and in what they call things, and move.

    Args:
        repository: of the hub; with ``files`` just a name for errors.
        revision: the commit, 40 hexadecimal digits: a branch would be another data set tomorrow.
        files: local Arrow or Parquet files instead of the hub.
        config: of the repository, where it has several.
        cache: where ``datasets`` keeps what it fetches or converts; null is its own place.
        split: of the repository, and second part of the uids.
        dataset: first part of the uids.
        fields: what the columns are called where they are not called so; see `OwnData`. ``answers`` may be text, a list
            of texts, or a list of objects with ``answer``.
        metric: what an answer is worth.
        prompt: see `Benchmark`.
        max_new_tokens: see `Benchmark`.
    """

    name = "hub"

    repository: str
    revision: str | None = None
    files: list[Path] | None = None
    config: str | None = None
    cache: Path | None = None

    @classmethod
    def at(cls, root: Path, split: str = "test") -> Self:
        """``root`` holds Parquet files named after the split."""
        return cls(repository=root.name, files=sorted(root.glob(f"{split}*.parquet")), split=split)

    def read(self) -> list[Sample]:
        """Samples in the order of the rows.

        Raises:
            UserError: if ``datasets`` is not installed, the revision is not pinned, or the table cannot be had.
        """
        self.check_fields()
        table = self._table()
        place = Path(self.repository)
        missing = [column for column in self.required if column not in table.column_names]
        if missing:
            Record(place, {}).fail(missing[0], f"Expected this column but there are only {quote(table.column_names)}")
        image = self.column("image")
        pictures = table.select_columns([image])
        rows = [Record(place, row, index) for index, row in enumerate(table.remove_columns([image]))]
        samples = []
        for key, bare in once(((row.identifier(self.column("id")), row) for row in rows), self.column("id")):
            record = bare.named(f"{self.prefix}/{key}")
            assert record.index is not None
            samples.append(self.sample(record, TablePicture(pictures, image, record.index), key))
        if not samples:
            raise UserError(f"Expected rows in {self} but there are none")
        return samples

    def texts(self, record: Record, name: str) -> tuple[str, ...]:
        """Also of objects with ``answer``, as in copies of VQA's annotations."""
        column = self.column(name)
        value = record.row.get(column)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            given = [one.get("answer") if isinstance(one, dict) else one for one in value]
            record = Record(record.file, {column: given}, record.index, record.uid)
        return super().texts(record, name)

    def _table(self) -> Any:  # noqa: ANN401 - a `datasets.Dataset`, of an optional package
        if self.files is None and (self.revision is None or not _COMMIT.fullmatch(self.revision)):
            raise UserError(
                f"Expected `revision` of {self.repository} as a commit of 40 hexadecimal digits but got "
                f"{self.revision!r}; the page of its files shows it"
            )
        datasets = load_datasets()
        cache = None if self.cache is None else str(self.cache)
        try:
            if self.files is None:
                table = datasets.load_dataset(
                    self.repository, self.config, split=self.split, revision=self.revision, cache_dir=cache
                )
            elif self.files and all(file.suffix == ".arrow" for file in self.files):
                table = datasets.concatenate_datasets([datasets.Dataset.from_file(str(file)) for file in self.files])
            else:
                table = datasets.Dataset.from_parquet([str(file) for file in self.files], cache_dir=cache)
        except Exception as error:  # its own, pyarrow's, the network's: all are the user's to mend
            where = self.repository if self.files is None else ", ".join(map(str, self.files)) or "no files"
            raise UserError(f"Expected a table from {where} but it cannot be read: {error}") from error
        image = self.column("image")
        if isinstance(table.features.get(image), datasets.Image):
            table = table.cast_column(image, datasets.Image(decode=False))  # decoded by us, under our rules
        return table


def load_datasets() -> Any:  # noqa: ANN401 - an optional package
    """The package ``datasets``, with the remedy in the error where it is missing."""
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            "Expected the package `datasets` for tables but it is not installed; run pip install 'lit-vlr[hub]'"
        ) from error
    return datasets
