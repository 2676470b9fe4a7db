"""Entries of data files, read with suspicion: whatever is wrong is said with file, entry, sample and field."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from lit_vlr.data.errors import DataFormatError

K = TypeVar("K", bound=Hashable)
_QUOTED = 60  # characters of a wrong value that an error repeats


def quote(value: object) -> str:
    """A wrong value for an error, cut short."""
    text = repr(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


@dataclass(slots=True)  # not frozen: that takes three times as long to make, and there are half a million of them
class Record:
    """An object of a JSON document, and where it stands.

    Attributes:
        file: the document.
        row: the object.
        index: its position in the list that it comes from; None for the document itself.
        uid: whose it is; empty while that is not known.
    """

    file: Path
    row: dict[str, Any]
    index: int | None = None
    uid: str = ""

    def named(self, uid: str) -> Record:
        """The same object with a uid."""
        return Record(self.file, self.row, self.index, uid)

    def fail(self, field: str, message: str) -> NoReturn:
        """Raise a `DataFormatError` about a field."""
        raise DataFormatError(self.file, self.index, self.uid, field, message)

    def get(self, field: str) -> Any:  # noqa: ANN401 - JSON
        """The value of a field that has to be there."""
        if field not in self.row:
            self.fail(field, f"Expected this key but there are only {quote(list(self.row))}; is it the right file?")
        return self.row[field]

    def integer(self, field: str) -> int:
        """A whole number, 0 or more."""
        value = self.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail(field, f"Expected a whole number of at least 0 but got {quote(value)}")
        return value

    def text(self, field: str) -> str:
        """A string that is not blank, as it stands."""
        return self.checked(field, self.get(field))

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of strings, not empty, none of them blank."""
        values = self.get(field)
        if not isinstance(values, list) or not values:
            self.fail(field, f"Expected a list with entries but got {quote(values)}")
        return tuple(self.checked(f"{field}[{place}]", value) for place, value in enumerate(values))

    def checked(self, field: str, value: object) -> str:
        """A value that has to be text, not blank."""
        if not isinstance(value, str) or not value.strip():
            self.fail(field, f"Expected text but got {quote(value)}; correct or remove the entry")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can write and no file can hold
                self.fail(field, f"Expected text but got {value[:_QUOTED]!a}, which is no Unicode; correct it")
        return value

    def identifier(self, field: str) -> str:
        """A whole number of at least 0, or text without spaces at its ends or line breaks; as text."""
        value = self.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(self.integer(field))
        value = self.checked(field, value)
        if value != value.strip() or len(value.splitlines()) > 1:
            self.fail(field, f"Expected an identifier but got {quote(value)}; it is part of the sample's uid")
        return value

    def one_of(self, field: str, options: Iterable[str]) -> str:
        """One of several words, whatever its case."""
        known = list(options)
        value = self.get(field)
        if not isinstance(value, str) or value.strip().lower() not in known:
            self.fail(field, f"Expected one of {', '.join(known)} but got {quote(value)}")
        return value.strip().lower()

    def place(self, field: str, n: int) -> int:
        """A place in a list of n things, from 0."""
        value = self.integer(field)
        if value >= n:
            self.fail(field, f"Expected the place of one of {n} choices, from 0, but got {value}; correct the entry")
        return value

    def numbers(self, field: str, n: int) -> tuple[float, ...]:
        """A list of n finite numbers."""
        values = self.get(field)
        if not isinstance(values, list) or len(values) != n or not all(map(_is_finite, values)):
            self.fail(field, f"Expected {n} finite numbers but got {quote(values)}")
        return tuple(float(value) for value in values)

    def mapping(self, field: str) -> dict[str, Any]:
        """An object."""
        value = self.get(field)
        if not isinstance(value, dict):
            self.fail(field, f"Expected an object but got {quote(value)}")
        return value

    def records(self, field: str) -> list[Record]:
        """A list of objects, not empty; they keep the uid."""
        rows = self.get(field)
        if not isinstance(rows, list) or not rows:
            self.fail(field, f"Expected a list with entries but got {quote(rows)}")
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                self.fail(field, f"Expected objects but entry {index} is {quote(row)}")
        return [Record(self.file, row, index, self.uid) for index, row in enumerate(rows)]


def _is_finite(value: object) -> bool:
    # `abs` and not `math.isfinite`, which overflows on integers beyond a float's range.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def once(records: Iterable[tuple[K, Record]], field: str) -> list[tuple[K, Record]]:
    """Records with their keys, each key once.

    Raises:
        DataFormatError: at the second record of a key.
    """
    places: dict[K, int | None] = {}
    kept = []
    for key, record in records:
        if key in places:
            record.fail(field, f"Expected each once but {key} is already entry {places[key]}; remove one")
        places[key] = record.index
        kept.append((key, record))
    return kept


def some(things: Sequence[object]) -> str:
    """Up to five of them, for an error."""
    return ", ".join(map(str, things[:5])) + (", …" if len(things) > 5 else "")
