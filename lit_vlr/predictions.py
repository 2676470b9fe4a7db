"""Predictions on disk: one JSON line an answer, and beside them a manifest that says how they were made.

Everything a metric needs is on the line (raw answer, confidence, abstention, accuracy), so every number of a report
can be computed again without the model. Reading is strict, because a lost or doubled line moves a mean silently.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from lit_vlr.errors import UserError
from lit_vlr.infinities import from_json, to_json
from lit_vlr.types import Prediction

__all__ = [
    "MANIFEST_KEYS",
    "PredictionWriter",
    "PredictionsFormatError",
    "manifest_if_any",
    "manifest_path",
    "read_manifest",
    "read_predictions",
]

MANIFEST_KEYS = ("set", "attack", "dialect", "threshold", "model", "data", "seed", "versions")
"""What a manifest must say; ``n`` is counted by the writer, further keys are kept as they are."""

_FIELDS = tuple(f.name for f in fields(Prediction))
_OPTIONAL = {"calibrated": None, "declined": False}  # left out where it is this, as in files from before there were any


class PredictionsFormatError(UserError):
    """Predictions, or their manifest, that cannot be used as they stand.

    Attributes:
        file: the file at fault.
        line: the 1-based line in it; None when the whole file is meant.
        uid: the prediction's uid, where it is known.
        field: the field at fault, where there is one.
        message: what was expected, what was found, and the remedy.
    """

    def __init__(self, file: Path | str, line: int | None, uid: str | None, field: str | None, message: str) -> None:
        # All of them go to `args`, so that the error survives pickling between processes.
        super().__init__(file, line, uid, field, message)
        self.file = Path(file)
        self.line = line
        self.uid = uid
        self.field = field
        self.message = message

    def __str__(self) -> str:
        """One line: ``file:line, uid 'u', field 'f': message``."""
        where = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        uid = "" if self.uid is None else f", uid {self.uid!r}"
        field = "" if self.field is None else f", field {self.field!r}"
        return f"{where}{uid}{field}: {self.message}"


def manifest_path(path: Path | str) -> Path:
    """Where the manifest of a predictions file is.

    >>> manifest_path("run/predictions/test+linf_pgd.jsonl").name
    'test+linf_pgd.manifest.json'
    """
    path = Path(path)
    return path.with_name(f"{path.stem}.manifest.json")


class PredictionWriter:
    """Writes predictions as they come, and makes them visible only when all of them are there.

    Lines go to ``<path>.part``, one flush a line. :meth:`close` writes the manifest and then renames the part file to
    ``path``, which is the moment the predictions exist. As a context manager it closes on success; on an exception it
    removes the part file and leaves under ``path`` whatever was there before, which is nothing in a new run.

    Args:
        path: the final file, ending in ``.jsonl``; missing folders are made.
        manifest: how the predictions were made: :data:`MANIFEST_KEYS` and any other JSON-serialisable entries.
            ``attack`` is None for clean pictures. ``threshold`` is None where none was in force, and may be infinite
            (``inf`` abstains on everything). ``n`` is filled in by the writer.

    Raises:
        ValueError: if ``path`` does not end in ``.jsonl``.
        PredictionsFormatError: if a manifest key is missing or is not JSON (at once, not after hours of inference);
            or, from :meth:`write`, if a prediction could not be read back.

    Example:
        >>> import tempfile
        >>> manifest = dict.fromkeys(MANIFEST_KEYS) | {"set": "test", "seed": 0}
        >>> path = Path(tempfile.mkdtemp()) / "test.jsonl"
        >>> with PredictionWriter(path, manifest) as writer:
        ...     writer.write(Prediction("toy/test/1", "1", "What is it?", "a kite", 0.9, False, 1.0, ("kite",) * 10))
        >>> read_predictions(path)[0].answer
        'a kite'
        >>> read_manifest(path)["n"]
        1
    """

    def __init__(self, path: Path | str, manifest: Mapping[str, Any]) -> None:
        self.path = Path(path)
        if self.path.suffix != ".jsonl":
            raise ValueError(f"Expected `path` to end in .jsonl but got {str(self.path)!r}; rename the file")
        self.manifest = _checked_manifest(manifest_path(self.path), dict(manifest))
        self.part = self.path.with_name(f"{self.path.name}.part")
        self._lines: dict[str, int] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Line-buffered: what was predicted before a kill can be looked at. "w": a part file left by a kill is stale.
        self._file = self.part.open("w", encoding="utf-8", newline="\n", buffering=1)

    def __len__(self) -> int:
        """Predictions written so far."""
        return len(self._lines)

    def write(self, prediction: Prediction) -> None:
        """Append one prediction; it must be one that :func:`read_predictions` accepts."""
        if self._file.closed:
            raise ValueError(f"Expected an open writer but {str(self.path)!r} is closed; make a new PredictionWriter")
        line = len(self._lines) + 1
        record = {name: getattr(prediction, name) for name in _FIELDS}
        record = {name: value for name, value in record.items() if name not in _OPTIONAL or value != _OPTIONAL[name]}
        record |= {"answers": list(prediction.answers), "metadata": dict(prediction.metadata)}
        _check_record(record, self.path, line, self._lines)
        try:
            # ASCII on purpose: lone surrogates in generated text would stop a UTF-8 file half way through a run.
            text = json.dumps(record, allow_nan=False)
        except (TypeError, ValueError) as error:
            message = f"expected JSON-serialisable values without NaN or infinity ({error}); convert or drop them"
            raise PredictionsFormatError(self.path, line, prediction.uid, "metadata", message) from error
        self._file.write(text + "\n")
        self._lines[prediction.uid] = line

    def close(self) -> None:
        """Write the manifest and give the predictions their final name; a second call does nothing."""
        if self._file.closed:
            return
        target = manifest_path(self.path)
        part = target.with_name(f"{target.name}.part")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            # The manifest first: predictions that can be seen always have one.
            part.write_text(self._document(), encoding="utf-8")
            part.replace(target)
            self.part.replace(self.path)
        except BaseException:  # a full disk: no half-written file stays behind
            part.unlink(missing_ok=True)
            self.abort()
            raise

    def _document(self) -> str:
        threshold = self.manifest["threshold"]
        threshold = None if threshold is None else to_json(threshold)
        document = self.manifest | {"threshold": threshold, "n": len(self)}
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def abort(self) -> None:
        """Drop what was written; nothing appears under the final name."""
        self._file.close()
        self.part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def read_predictions(path: Path | str) -> list[Prediction]:
    """Read a predictions file, refusing everything that is not exactly one.

    Args:
        path: a ``.jsonl`` file as :class:`PredictionWriter` writes it. Where its manifest lies beside it, the number
            of lines must be the manifest's ``n``: a file cut between two lines is whole JSON otherwise.

    Raises:
        FileNotFoundError: if there is no such file; an unfinished ``.part`` is named.
        PredictionsFormatError: for truncated JSON, a missing, unknown or doubled key, a value of the wrong type, a
            confidence that is NaN or infinite, an accuracy outside [0, 1], a doubled uid, or missing or extra lines.
    """
    path = Path(path)
    if not path.is_file():
        part = path.with_name(f"{path.name}.part")
        remedy = f"{part.name} is an interrupted run's; run it again" if part.is_file() else "check the path"
        raise FileNotFoundError(f"Expected a predictions file at {str(path)!r} but there is none; {remedy}")
    lines: dict[str, int] = {}
    predictions = []
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            record = _parse(raw, path, number)
            _check_record(record, path, number, lines)
            lines[record["uid"]] = number
            record |= {"answers": tuple(record["answers"]), "confidence": float(record["confidence"])}
            for name in ("accuracy", "calibrated"):
                record[name] = None if record.get(name) is None else float(record[name])
            predictions.append(Prediction(**record))
    if manifest_path(path).is_file() and (n := read_manifest(path)["n"]) != len(predictions):
        message = f"expected the manifest's {n} predictions but found {len(predictions)}; run the test again"
        raise PredictionsFormatError(path, None, None, "n", message)
    return predictions


def read_manifest(path: Path | str) -> dict[str, Any]:
    """Read a manifest, given its own path or that of its predictions file.

    Raises:
        FileNotFoundError: if there is none.
        PredictionsFormatError: if it is not JSON or a key is missing.
    """
    path = Path(path)
    target = manifest_path(path) if path.suffix == ".jsonl" else path
    if not target.is_file():
        raise FileNotFoundError(f"Expected a manifest at {str(target)!r} but there is none; run the test again")
    manifest = _parse(target.read_bytes(), target, None)
    threshold = manifest.get("threshold")
    if threshold in ("inf", "-inf"):
        manifest["threshold"] = from_json(threshold)
    manifest = _checked_manifest(target, manifest)
    n = manifest.get("n")
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise PredictionsFormatError(target, None, None, "n", f"expected a count but got {n!r}; run the test again")
    return manifest


def manifest_if_any(path: Path) -> dict[str, Any]:
    """The manifest of a predictions file; empty where there is none, as with files of other programs."""
    return read_manifest(path) if path.suffix == ".jsonl" and manifest_path(path).is_file() else {}


def _parse(raw: bytes, path: Path, line: int | None) -> dict[str, Any]:
    """A JSON object, refusing what `json` lets through: NaN, Infinity and doubled keys."""

    def fail(message: str, cause: Exception | None = None) -> NoReturn:
        raise PredictionsFormatError(path, line, None, None, message) from cause

    def constant(name: str) -> NoReturn:
        fail(f"expected finite numbers but got {name}; find where the score became {name} and run the test again")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(items)
        if len(record) != len(items):
            keys = [key for key, _ in items]
            fail(f"expected every key once but got {sorted({k for k in keys if keys.count(k) > 1})} twice; keep one")
        return record

    try:
        record = json.loads(raw.decode("utf-8"), parse_constant=constant, object_pairs_hook=pairs)
    except PredictionsFormatError:  # a ValueError too: raised by the hooks above
        raise
    except UnicodeDecodeError as error:
        fail(f"expected UTF-8 but got {error.reason} at byte {error.start}; run the test again", error)
    except json.JSONDecodeError as error:
        fail(f"expected one JSON object but got {error.msg} at column {error.colno}; run the test again", error)
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, or nesting as deep
        fail(f"expected one JSON object but got {error}; run the test again", error)
    if not isinstance(record, dict):
        fail(f"expected a JSON object but got {type(record).__name__}; run the test again")
    return record


def _check_record(record: Mapping[str, Any], path: Path, line: int, seen: Mapping[str, int]) -> None:
    """Refuse a record that is not a :class:`Prediction`, on the way in and on the way out alike."""
    uid = record.get("uid")

    def fail(field: str, message: str) -> NoReturn:
        raise PredictionsFormatError(path, line, uid if isinstance(uid, str) else None, field, message)

    def expect(field: str, ok: bool, what: str, remedy: str) -> None:
        if not ok:
            fail(field, f"expected {what} but got {record[field]!r}; {remedy}")

    for name in _FIELDS:
        if name not in record and name not in _OPTIONAL:
            fail(name, f"expected the fields {list(_FIELDS)} but {name!r} is missing; write with PredictionWriter")
    for name in record:
        if name not in _FIELDS:
            fail(name, f"expected only the fields {list(_FIELDS)}; move {name!r} into `metadata`")
    for name in ("uid", "image_id", "question", "answer"):
        expect(name, isinstance(record[name], str), "a string", "convert it with str()")
    for name in ("uid", "image_id"):
        expect(name, record[name].strip() != "", "a non-empty string", "give every sample its identifier")
    expect("confidence", _is_finite(record["confidence"]), "a finite number", "map the score to a finite one first")
    expect("abstained", isinstance(record["abstained"], bool), "true or false", "convert it with bool()")
    declined = record.get("declined", False)
    expect("declined", isinstance(declined, bool), "true or false", "leave it out where nothing was declined in words")
    expect("declined", not declined or record["abstained"], "false, for the answer was given", "set `abstained` too")
    accuracy = record["accuracy"]
    in_range = accuracy is None or (_is_finite(accuracy) and 0 <= accuracy <= 1)
    expect("accuracy", in_range, "a number in [0, 1], or null", "pass a fraction; null where there are no labels")
    calibrated = record.get("calibrated")
    in_range = calibrated is None or (_is_finite(calibrated) and 0 <= calibrated <= 1)
    expect("calibrated", in_range, "a number in [0, 1], or null", "it is an expected accuracy")
    answers = record["answers"]
    is_texts = isinstance(answers, list) and all(isinstance(answer, str) for answer in answers)
    expect("answers", is_texts, "a list of strings", "[] where there are no labels")
    expect("metadata", isinstance(record["metadata"], dict), "an object", "{} where there is none")
    if record["uid"] in seen:
        fail("uid", f"expected every uid once but line {seen[record['uid']]} has it too; remove one of the lines")


def _is_finite(value: object) -> bool:
    # bool is an int in Python; a confidence of `true` is a mistake, not a 1. `abs` and not `math.isfinite`, which
    # overflows on integers beyond a float's range.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _checked_manifest(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    for key in MANIFEST_KEYS:
        if key not in manifest:
            message = f"expected the keys {list(MANIFEST_KEYS)} but {key!r} is missing; use null where there is none"
            raise PredictionsFormatError(path, None, None, key, message)
    threshold = manifest["threshold"]
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool) and threshold == threshold
    if threshold is not None and not is_number:
        message = f"expected a number or null but got {threshold!r}; null where no threshold was in force"
        raise PredictionsFormatError(path, None, None, "threshold", message)
    for key, value in manifest.items():
        try:
            json.dumps(None if key == "threshold" else value, allow_nan=False)
        except (TypeError, ValueError) as error:
            message = f"expected a JSON-serialisable value without NaN or infinity ({error}); convert it first"
            raise PredictionsFormatError(path, None, None, str(key), message) from error
    return manifest
