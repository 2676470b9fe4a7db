"""Pictures in a column of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lit_vlr.data.images import decode
from lit_vlr.data.records import quote
from lit_vlr.errors import ImageError


@dataclass(frozen=True, eq=False)
class TablePicture:
    """A picture in a column of a table, read when it is needed; see `lit_vlr.types.PictureSource`.

    Attributes:
        table: a `datasets.Dataset` of the column alone, whose file is mapped; pickled, it is a path.
        column: its name.
        row: which one.
    """

    table: Any
    column: str
    row: int

    def pixels(self, uid: str) -> np.ndarray:
        """The picture."""
        return decode(self.content(uid), f"`{self.column}` of row {self.row} ({uid})")

    def content(self, uid: str = "") -> bytes:
        """Its file."""
        value = self.table[self.row][self.column]
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise ImageError(
                f"Expected the bytes of a picture in `{self.column}` of {uid} but got {quote(value)}; pictures that "
                "are paths are not followed"
            )
        return content
