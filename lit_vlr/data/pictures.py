"""Where a benchmark's pictures are, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from lit_vlr.data.records import Record, quote
from lit_vlr.errors import UserError


class Pictures:
    """Files of a folder: neither ``..`` nor an absolute path nor a link leads out of it, and nothing is a URL.

    Whether a picture is there, and whole, is found out when it is loaded.

    Args:
        folder: the root; it may itself be a link.

    Raises:
        UserError: if there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"Expected a folder of pictures at {folder} but there is none; check the path")
        self.root = folder.resolve()
        self._inside = f"{self.root}{os.sep}".replace(2 * os.sep, os.sep)
        self._known: dict[str, Path] = {}

    def path(self, record: Record, field: str, name: str, because: str = "it leads") -> Path:
        """The file of a picture.

        Args:
            record: whose it is, for errors.
            field: where its name comes from.
            name: relative to the folder.
            because: how the name leads elsewhere, for errors.

        Raises:
            DataFormatError: if it would lie outside of the folder, or the name is none.
        """
        known = self._known.get(name)  # questions share pictures, and asking the file system about each takes seconds
        if known is not None:
            return known
        if "://" in name:
            record.fail(field, f"Expected a file inside {self.root} but got the URL {quote(name)}; download it first")
        try:
            path = os.path.realpath(self.root / name)
        except ValueError as error:  # a null byte
            record.fail(field, f"Expected the name of a file but got {quote(name)} ({error})")
        if not path.startswith(self._inside):
            record.fail(field, f"Expected a picture inside {self.root} but {because} to {path}")
        return self._known.setdefault(name, Path(path))


def stem(name: str) -> str:
    """The name of a picture without folders and suffix: its id where the benchmark gives no other.

    >>> stem("coco2014/val2014/COCO_val2014_000000310196.jpg")
    'COCO_val2014_000000310196'
    """
    return PurePosixPath(name).stem


def coco_id(name: str) -> str:
    """The id of a COCO picture, by which sets of different years and splits are compared; the stem if it is none.

    >>> coco_id("COCO_val2014_000000310196.jpg"), coco_id("train2017/000000310196.jpg"), coco_id("a.png")
    ('310196', '310196', 'a')
    """
    digits = stem(name).rpartition("_")[2]
    return str(int(digits)) if len(digits) == 12 and digits.isascii() and digits.isdigit() else stem(name)
