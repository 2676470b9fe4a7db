"""Files that appear all together or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lit_vlr.errors import UserError


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A hidden folder to build in, inside ``folder`` and so on its file system; it is gone afterwards.

    ``folder`` and its parents are made if missing, and removed again if the block fails.

    Raises:
        UserError: if the system refuses to write.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as stage:
            yield Path(stage)
    except BaseException as error:  # also on Ctrl-C
        for path in made:
            with suppress(OSError):  # not empty: somebody else has put something there
                path.rmdir()
        if isinstance(error, OSError):
            raise UserError(f"Expected to write to {folder} but: {error}; free it or choose another folder") from error
        raise


def publish(stage: Path, targets: Sequence[Path]) -> None:
    """Rename what was built in ``stage`` to its place, and take everything back if one of the renames fails.

    Raises:
        UserError: if one of the targets exists already.
    """
    moved: list[Path] = []
    try:
        for target in targets:
            refuse_existing(target)
            (stage / target.name).rename(target)
            moved.append(target)
    except BaseException:
        for target in moved:
            target.rename(stage / target.name)
        raise


def refuse_existing(target: Path) -> None:
    """Raise a `UserError` if there is something at a path."""
    if target.exists():
        raise UserError(f"Expected nothing at {target} but it exists; remove it or choose another folder")
