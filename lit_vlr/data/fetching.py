"""What has to be fetched by hand, whether it is there, and whether it is what it should be. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_text
from lit_vlr.data.source import Benchmark
from lit_vlr.errors import UserError

_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


def explain(benchmark: Benchmark, root: Path) -> list[str]:
    """What to fetch from where, and which files are expected where, in lines."""
    lines = [f"{benchmark.name} ({benchmark.licence})", "fetch, and unpack below " + str(root) + ":"]
    lines += [f"  {fetch.what}: {fetch.url}" for fetch in benchmark.fetches] or ["  nothing: these data are your own"]
    lines.append(f"expected for the split {benchmark.split}:")
    for name, path in expected_paths(benchmark):
        lines.append(f"  {'there  ' if path.exists() else 'missing'}  {path}  ({name})")
    return lines


def expected_paths(benchmark: Benchmark) -> Iterator[tuple[str, Path]]:
    """The files and folders that a benchmark reads, by the names of its arguments."""
    for one in fields(benchmark):
        if isinstance(path := getattr(benchmark, one.name), Path):
            yield one.name, path


def verify(checksums: Path, root: Path) -> Iterator[str]:
    """Compare files with a list of SHA-256 sums, as ``sha256sum`` writes it; yields a line a file that is right.

    Args:
        checksums: lines of sum and path relative to ``root``.
        root: the folder.

    Raises:
        DataFormatError: if the list is malformed or empty.
        UserError: naming every file that is missing or differs, after all have been looked at.
    """
    wrong = []
    lines = [line for line in read_text(checksums, "text").splitlines() if line.strip()]
    if not lines:
        raise DataFormatError(checksums, None, "", "", "Expected lines of SHA-256 and path but the file is empty")
    for index, line in enumerate(lines):
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            message = f"Expected a SHA-256 sum, two spaces and a path but got {line[:80]!r}"
            raise DataFormatError(checksums, index, "", "", message)
        path = (root / match[2]).resolve()
        if not path.is_relative_to(root.resolve()):
            raise DataFormatError(checksums, index, "", "", f"Expected a path inside {root} but it leads to {path}")
        if not path.is_file():
            wrong.append(f"{match[2]} is missing")
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != match[1].lower():
            wrong.append(f"{match[2]} has {found[:12]}…, not {match[1][:12].lower()}…")
        else:
            yield f"OK  {match[2]}"
    if wrong:
        raise UserError(f"Expected the files of {checksums} but {'; '.join(wrong)}; fetch them again")
