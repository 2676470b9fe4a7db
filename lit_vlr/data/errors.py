"""What can be wrong with a data file, said in one line."""

from __future__ import annotations

from pathlib import Path

from lit_vlr.errors import UserError


class DataFormatError(UserError):
    """A data file that breaks its format.

    Args:
        file: the file.
        index: position of the entry in the file, from 0; None where the whole file is meant.
        uid: ``dataset/split/question_id``; empty where it is not known.
        field: the key; empty where there is none.
        message: what was expected, what is there, and the remedy.

    >>> print(DataFormatError(Path("q.json"), 7, "okvqa/val2014/12", "question", "Expected text but it is blank"))
    q.json, entry 7 (okvqa/val2014/12), `question`: Expected text but it is blank
    """

    def __init__(self, file: Path, index: int | None, uid: str, field: str, message: str) -> None:
        super().__init__(file, index, uid, field, message)  # all of them: exceptions of workers travel by pickle
        self.file, self.index, self.uid, self.field, self.message = file, index, uid, field, message

    def __str__(self) -> str:
        entry = "" if self.index is None else f", entry {self.index}"
        whose = f" ({self.uid})" if self.uid else ""
        field = f", `{self.field}`" if self.field else ""
        return " ".join(f"{self.file}{entry}{whose}{field}: {self.message}".split())
