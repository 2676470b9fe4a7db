"""Rows of answers by other programs: each value checked, and what is wrong said with file and place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.records import Record, quote
from lit_vlr.predictions import PredictionsFormatError
from lit_vlr.scoring.annotations import question_id


@dataclass(frozen=True)
class Row:
    """One answer of a foreign file, and where it stands.

    Attributes:
        file: the file.
        place: entry or line, from 0.
        is_line: whether it is a line.
        values: the row.
    """

    file: Path
    place: int
    is_line: bool
    values: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Place in words."""
        return f"line {self.place + 1}" if self.is_line else f"entry {self.place}"

    def fail(self, field: str, message: str) -> NoReturn:
        """Raise an error about a field."""
        uid = self.values.get("question_id")
        name = None if uid is None else str(uid)
        if self.is_line:
            raise PredictionsFormatError(self.file, self.place + 1, name, field or None, message)
        raise DataFormatError(self.file, self.place, name or "", field, message)

    def question_id(self) -> str:
        """The id, as `read_annotations` writes it."""
        value = self._get("question_id")
        try:
            return question_id(Record(self.file, {"question_id": value}))
        except DataFormatError:
            self.fail("question_id", f"expected text or a whole number of at least 0 but got {quote(value)}")

    def answer(self) -> str:
        """The generated text; a box may be a list of its corners."""
        value = self._get("answer")
        if isinstance(value, list) and len(value) == 4 and all(isinstance(v, int | float) for v in value):
            return str(value)
        if not isinstance(value, str):
            self.fail("answer", f"expected text but got {quote(value)}; write it as it was generated")
        return value

    def confidence(self) -> float:
        """A number or an infinity."""
        value = self._get("confidence")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        try:
            number = float(value) if is_number else math.nan
        except OverflowError:  # an integer beyond a float's range
            number = math.nan
        if math.isnan(number):
            self.fail(
                "confidence", f"expected a number but got {quote(value)}; give a row never to be answered -Infinity"
            )
        return number

    def _get(self, field: str) -> Any:  # noqa: ANN401 - JSON
        if field not in self.values:
            self.fail(field, f"expected this key but there are only {quote(list(self.values))}")
        return self.values[field]


def read_rows(path: Path) -> Iterator[Row]:
    """Read a JSON list or JSON lines, row by row."""
    content = path.read_bytes()
    if content.lstrip().startswith(b"["):
        try:
            rows = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataFormatError(path, None, "", "", f"Expected JSON but it cannot be parsed ({error})") from error
        for place, row in enumerate(rows):
            yield _checked(Row(path, place, False, {}), row)
        return
    for place, line in enumerate(content.splitlines()):
        bare = Row(path, place, True, {})
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            bare.fail("", f"expected one JSON object but it cannot be parsed ({error})")
        yield _checked(bare, row)


def _checked(bare: Row, row: object) -> Row:
    if not isinstance(row, dict):
        bare.fail("", f"expected an object but got {quote(row)}")
    return Row(bare.file, bare.place, bare.is_line, row)
