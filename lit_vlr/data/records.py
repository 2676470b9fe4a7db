"""JSON documents read with suspicion: whatever is wrong is said with file, entry, sample and field."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from lit_vlr.data.errors import DataFormatError

_QUOTED = 60  # characters of a wrong value that an error repeats


def quote(value: object) -> str:
    """A wrong value for an error, cut short."""
    text = repr(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


@dataclass(frozen=True)
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
        return replace(self, uid=uid)

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
        value = self.get(field)
        if not isinstance(value, str) or not value.strip():
            self.fail(field, f"Expected text but got {quote(value)}; correct or remove the entry")
        return value

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


def read_document(file: Path) -> Record:
    """Read a JSON file whose top level is an object.

    Raises:
        DataFormatError: if there is no such file, or it is not JSON, or no object.
    """
    try:
        row = json.loads(file.read_bytes())
    except OSError as error:
        message = f"Expected a JSON file but it cannot be read ({error.strerror}); check the path"
        raise DataFormatError(file, None, "", "", message) from error
    except (ValueError, RecursionError) as error:
        message = f"Expected JSON but it cannot be parsed ({error}); download or unpack it again"
        raise DataFormatError(file, None, "", "", message) from error
    if not isinstance(row, dict):
        raise DataFormatError(file, None, "", "", f"Expected an object at the top level but got {quote(row)}")
    return Record(file, row)
