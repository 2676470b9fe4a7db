"""What a cell is, by the contents of its config files: a study goes on only with what it was begun with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lit_vlr import __version__
from lit_vlr.errors import UserError
from lit_vlr.study.plan import Cell
from lit_vlr.study.settings import Verb

FILE = "cell.json"
_SHOWN = 4
_ABSENT = object()
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a study reads hundreds of files, each several times


def identity(cell: Cell) -> dict[str, Any]:
    """What the cell is: its arguments, the contents of its files, the version, and the SHA-256 of all that.

    Comments and layout of the files are no contents.

    Raises:
        UserError: if a file is missing or no YAML mapping.
    """
    said = cell.describe()
    names = dict.fromkeys(name for stage in _files(said).values() for name in stage)
    found = {"lit_vlr": __version__, **said, "contents": {name: contents(name) for name in names}}
    # What was written is compared with what is read, so both are made of what JSON can hold.
    found = json.loads(json.dumps(found, default=str, sort_keys=True))
    return {"sha256": hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest(), **found}


def check_identity(cell: Cell, again: Verb | None = None) -> None:
    """Refuse to go on with a cell that was begun as another; a cell without a folder is new, and that is fine.

    Args:
        cell: what is to go on.
        again: the stage that is to be run again: what it and later ones alone depend on may differ.

    Raises:
        UserError: naming every file and key that differs; or a file that cannot be read.
    """
    now = identity(cell)
    path = cell.folder / FILE
    if not path.is_file():
        # A kill while the record was written leaves a part of it, and nothing else yet.
        if cell.folder.is_dir() and any(found != _part(path) for found in cell.folder.iterdir()):
            raise UserError(
                f"Expected {cell.folder} to be this study's but it has no {FILE}; choose another `root`, or move the "
                "folder away"
            )
        return
    try:
        before = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"Expected JSON in {path} but got {error}; move {cell.folder} away to run it again") from error
    kept = cell.verbs if again is None else cell.verbs[: cell.verbs.index(again)]
    said = list(differences(*(_of_verbs(found, kept) for found in (before if isinstance(before, dict) else {}, now))))
    if said:
        more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        raise UserError(
            f"Expected {cell.name} as it was begun but its configuration differs: {'; '.join(said[:_SHOWN])}{more}; "
            f"change it back, choose another `root`, or move {cell.folder} away to run it again"
        )


def save_identity(cell: Cell, anew: bool = False) -> None:
    """Write what the cell is, before anything of it is run; what is written stays, unless it is to be written anew."""
    path = cell.folder / FILE
    if anew or not path.is_file():
        cell.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(identity(cell), indent=1, ensure_ascii=False) + "\n")


def _of_verbs(found: Mapping[str, Any], verbs: Sequence[Verb]) -> dict[str, Any]:
    """What the results of some stages depend on; of no stage, nothing."""
    files = {verb: names for verb, names in found.get("files", {}).items() if verb in verbs}
    given = {name for names in _files({**found, "files": files}).values() for name in names}
    contents = {name: content for name, content in found.get("contents", {}).items() if name in given}
    kept = _without(found, "sha256", *(() if set(verbs) - {"fit"} else ("threshold", "checkpoint")))
    return {**kept, "files": files, "contents": contents} if verbs else {}


def _files(found: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Names of config files by stage, those of peers included."""
    of_peers = found.get("peers", {}).get("files", {})
    return {**found.get("files", {}), **{f"peers.{verb}": names for verb, names in of_peers.items()}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Every key that differs, with both values; those of a file's contents after its name.

    >>> list(differences({"seed": 0, "contents": {"a.yaml": {"x": {"y": 1}}}},
    ...                  {"seed": 0, "contents": {"a.yaml": {"x": {"y": 2}}}}))
    ['a.yaml: x.y was 1 and is 2']
    """
    earlier, later = (dict(x.get("contents", {})) for x in (before, now))
    for file in dict.fromkeys([*earlier, *later]):
        if file not in later or file not in earlier:
            yield f"{file} is {'no longer' if file in earlier else 'newly'} given"
        else:
            yield from (f"{file}: {said}" for said in _keys(earlier[file], later[file]))
    if set(earlier) == set(later):  # else the lists of files say nothing new
        yield from _keys(before.get("files"), now.get("files"), ("files",))
    yield from _keys(_without(before, "contents", "files"), _without(now, "contents", "files"))


def _without(found: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in keys}


def _keys(before: Any, now: Any, start: tuple[str, ...] = ()) -> Iterator[str]:  # noqa: ANN401 - JSON
    first, second = (dict(_flat(x, start)) for x in (before, now))
    for key in dict.fromkeys([*first, *second]):
        # Null and absent differ: in a later file, null takes back what an earlier one says.
        if first.get(key, _ABSENT) != second.get(key, _ABSENT):
            was, is_now = (_said(x.get(key, _ABSENT)) for x in (first, second))
            yield f"{'.'.join(key) or 'it'} was {was} and is {is_now}"


def write_whole(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    part = _part(path)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # else a machine that goes down may keep the name without the contents
    part.replace(path)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def contents(name: str) -> dict[str, Any]:
    """What a config file says.

    Raises:
        UserError: if it is missing, or no YAML mapping.
    """
    path = Path(name)
    if not path.is_file():
        raise UserError(f"Expected a config file at {name} but there is none; paths are relative to {Path.cwd()}")
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"Expected YAML in {name} but got {' '.join(str(error).split())}; mend it") from error
    if not isinstance(found, dict):
        raise UserError(f"Expected a mapping in {name} but got {type(found).__name__}; it is a config file")
    return found


def _flat(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - JSON
    if isinstance(value, list) and value:
        value = dict(enumerate(value))
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, (*key, str(name)))
    else:
        yield key, value


def _said(value: Any) -> str:  # noqa: ANN401 - JSON
    text = "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 80 else f"{text[:77]}..."
