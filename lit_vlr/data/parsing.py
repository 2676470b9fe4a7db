"""Files read with suspicion: JSON, JSON lines and tables, into `Record`s that say where they stand.

`json` takes NaN for a number and keeps the last of two equal keys without a word; both are refused here.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.records import Record, quote

T = TypeVar("T")
_SPACE = re.compile(r"[ \t\n\r]*")


def read_document(file: Path) -> Record:
    """Read a JSON file whose top level is an object.

    Raises:
        DataFormatError: if there is no such file, or it is not JSON, or no object.
    """
    row = _parse(file, read_text(file), None)
    if not isinstance(row, dict):
        raise DataFormatError(file, None, "", "", f"Expected an object at the top level but got {quote(row)}")
    return Record(file, row)


def read_rows(file: Path) -> list[Record]:
    """Read a JSON file whose top level is a list of objects, not empty.

    Raises:
        DataFormatError: if it is anything else.
    """
    rows = _parse(file, read_text(file), None)
    if not isinstance(rows, list) or not rows:
        message = f"Expected a list with entries at the top level but got {quote(rows)}; is it the right file?"
        raise DataFormatError(file, None, "", "", message)
    return [_object(file, index, row) for index, row in enumerate(rows)]


def read_objects(file: Path) -> list[tuple[str, Record]]:
    """Read a JSON file whose top level is an object of objects, not empty, as (key, object) in its order.

    Raises:
        DataFormatError: if it is anything else, or a key is there twice, or blank.
    """
    document = read_document(file)
    if not document.row:
        document.fail("", "Expected entries but the file has none; download or unpack it again")
    objects = []
    for index, (key, row) in enumerate(document.row.items()):
        record = _object(file, index, row)
        objects.append((Record(file, {"(key)": key}, index).identifier("(key)"), record))  # it becomes part of the uid
    return objects


def read_lines(file: Path) -> list[Record]:
    """Read a file of one JSON object a line, at least one; blank lines at the end do not count.

    Raises:
        DataFormatError: if it is anything else. The index is that of the line, from 0.
    """
    lines = read_text(file).rstrip().split("\n")  # not `splitlines`: JSON text may hold U+2028
    if lines == [""]:
        raise DataFormatError(file, None, "", "", "Expected one JSON object a line but the file is empty")
    return [_object(file, index, _parse(file, line, index)) for index, line in enumerate(lines)]


def read_table(file: Path, columns: Sequence[str], delimiter: str = ",") -> list[Record]:
    r"""Read a table with a header, at least one row; all values are text.

    Args:
        file: CSV, or TSV with ``delimiter="\t"``, in UTF-8.
        columns: those that have to be there.
        delimiter: between values.

    Raises:
        DataFormatError: if it is none, a column is missing or named twice, or a row is too long or too short. The index
            is that of the row behind the header, from 0.
    """
    reader = csv.DictReader(StringIO(read_text(file, "table"), newline=""), delimiter=delimiter, strict=True)
    try:
        header = list(reader.fieldnames or [])
        missing = [name for name in columns if name not in header]
        if missing or len(set(header)) < len(header):
            wrong = f"lacks {missing}" if missing else "has one twice"
            message = f"Expected the columns {list(columns)} but the header {quote(header)} {wrong}"
            raise DataFormatError(file, None, "", missing[0] if missing else "", message)
        records = []
        for index, row in enumerate(reader):
            if None in row or None in row.values():
                message = f"Expected {len(header)} values as in the header but got {'more' if None in row else 'fewer'}"
                raise DataFormatError(file, index, "", "", f"{message}; quote values that hold the delimiter")
            records.append(Record(file, row, index))
    except csv.Error as error:
        message = f"Expected a table but it cannot be parsed ({error}); download or unpack it again"
        raise DataFormatError(file, max(reader.line_num - 2, 0), "", "", message) from error
    if not records:
        raise DataFormatError(file, None, "", "", "Expected rows behind the header but there are none")
    return records


def read_entries(file: Path, key: str, convert: Callable[[Record], T]) -> tuple[Record, list[T]]:
    """Read a JSON object with one long list of objects, without holding the list as Python objects.

    Ten answers to each of 200,000 questions are two million dicts, 600 MB of them; here each entry is converted as soon
    as it is parsed, and forgotten.

    Args:
        file: the document.
        key: of the list.
        convert: makes of each entry what is kept.

    Returns:
        The document without the list, and what the entries were converted to.

    Raises:
        DataFormatError: if there is no such file, it is no JSON object, or the list is missing or empty or holds
            anything but objects.
    """
    scan = _Scanner(file, read_text(file))
    row: dict[str, Any] = {}
    entries: list[T] = []
    try:
        if scan.peek() != "{":
            return read_document(file), []  # which says what is wrong
        scan.take("{")
        for _ in scan.items("}"):
            name = scan.value()
            if name in row:
                raise DataFormatError(file, None, "", str(name), "Expected each key once but it is there twice")
            scan.take(":")
            if name == key and scan.peek() == "[":
                scan.take("[")
                for index, _ in enumerate(scan.items("]")):
                    scan.index = index
                    value = scan.value()
                    if not isinstance(value, dict):
                        message = f"Expected objects but entry {index} is {quote(value)}"
                        raise DataFormatError(file, None, "", key, message)
                    entries.append(convert(Record(file, value, index)))
                row[key], scan.index = entries, None
            else:
                row[name] = scan.value()
        scan.end()
    except DataFormatError:  # a ValueError too
        raise
    except (ValueError, RecursionError) as error:
        raise _no_json(file, None, error) from error
    document = Record(file, row)
    if not entries:
        document.records(key)  # which says what is wrong
    del row[key]
    return document, entries


def read_text(file: Path, what: str = "JSON") -> str:
    """The text of a file in UTF-8, with or without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            message = f"Expected {what} but it cannot be parsed ({error.reason} at byte {error.start}); is it packed?"
            raise DataFormatError(file, None, "", "", message) from error
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"Expected a {what} file but it cannot be read ({reason}); check the path"
        raise DataFormatError(file, None, "", "", message) from error


class _Scanner:
    """Walks through a JSON text value by value."""

    def __init__(self, file: Path, text: str) -> None:
        self.text, self.at = text, 0
        self.index: int | None = None  # of the entry, for errors
        self.decoder = _decoder(file, lambda: self.index)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None  # it matches the empty text
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def take(self, symbol: str) -> None:
        if self.peek() != symbol:
            raise json.JSONDecodeError(f"Expecting {symbol!r}", self.text, self.at)
        self.at += 1

    def value(self) -> Any:  # noqa: ANN401 - JSON
        self.peek()
        value, self.at = self.decoder.raw_decode(self.text, self.at)
        return value

    def items(self, closing: str) -> Iterator[None]:
        """Stands before each item in turn, and in the end behind the closing bracket."""
        if self.peek() != closing:
            yield
            while self.peek() != closing:
                self.take(",")
                yield
        self.take(closing)

    def end(self) -> None:
        if self.peek():
            raise json.JSONDecodeError("Extra data", self.text, self.at)


def _decoder(file: Path, index: Callable[[], int | None]) -> json.JSONDecoder:
    def constant(name: str) -> NoReturn:
        message = f"Expected finite numbers but got {name}; find out where it comes from"
        raise DataFormatError(file, index(), "", "", message)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(items)
        if len(record) != len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            message = f"Expected each key once but {quote(twice)} is there twice; keep one"
            raise DataFormatError(file, index(), "", twice, message)
        return record

    return json.JSONDecoder(parse_constant=constant, object_pairs_hook=pairs)


def _parse(file: Path, text: str, index: int | None) -> Any:  # noqa: ANN401 - JSON
    try:
        return _decoder(file, lambda: index).decode(text)
    except DataFormatError:  # a ValueError too, from the hooks
        raise
    except (ValueError, RecursionError) as error:
        raise _no_json(file, index, error) from error


def _no_json(file: Path, index: int | None, error: Exception) -> DataFormatError:
    message = f"Expected JSON but it cannot be parsed ({error}); download or unpack it again"
    return DataFormatError(file, index, "", "", message)


def _object(file: Path, index: int, row: object) -> Record:
    if not isinstance(row, dict):
        raise DataFormatError(file, index, "", "", f"Expected an object but got {quote(row)}")
    return Record(file, row, index)
