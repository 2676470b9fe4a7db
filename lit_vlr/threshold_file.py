"""Threshold files: a threshold, how it was chosen, on what, and what it promises."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_vlr.calibration import Calibrator, calibrator_from_dict
from lit_vlr.errors import UserError
from lit_vlr.functional import ThresholdChoice
from lit_vlr.infinities import from_json, to_json
from lit_vlr.versions import versions

FORMAT = "lit_vlr threshold 1"


@dataclass(frozen=True)
class ThresholdFile:
    """What applying a threshold needs of its file.

    Attributes:
        path: the file.
        threshold: answers with a lower confidence are abstained from; +inf abstains on everything.
        method: how it was chosen.
        guarantee: what it promises, in words.
        reason: why it abstains on everything; empty where it does not.
        score: the confidence that it is for; None where that was not recorded.
        sha256: of the file itself.
        calibrator: says how right an answer of some confidence is; None where the file has none. With or without it,
            the threshold is one of confidences as the model gives them.
    """

    path: Path
    threshold: float
    method: str
    guarantee: str
    reason: str
    score: str | None
    sha256: str
    calibrator: Calibrator | None = None

    def say(self) -> str:
        """One line."""
        if self.threshold == math.inf:
            return f"{self.path} abstains on everything: {self.reason}"
        said = f"threshold {self.threshold:.4g} of {self.path} ({self.method}; guarantee: {self.guarantee})"
        return said if self.calibrator is None else f"{said}, calibrated by {self.calibrator.kind}"

    def describe(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "method": self.method,
            "guarantee": self.guarantee,
            "calibrator": None if self.calibrator is None else self.calibrator.kind,
        }

    def check_score(self, name: str | None, where: str) -> None:
        """Refuse scores of another kind than those that the threshold was chosen on.

        Args:
            name: what the scores are; None where that was not recorded.
            where: what has them, for the message.

        Raises:
            UserError: if both are known and differ.
        """
        if None not in (name, self.score) and name != self.score:
            raise UserError(
                f"Expected a threshold for {name}, the confidence of {where}, but {self.path} is for {self.score}; run "
                "`lit-vlr validate` and `lit-vlr calibrate` with the confidence that is used here"
            )


def write_threshold(
    path: Path,
    choice: ThresholdChoice,
    predictions: Path,
    n_images: int,
    score: str | None = None,
    calibrator: Calibrator | None = None,
) -> None:
    """Write a threshold file, whole or not at all.

    Args:
        path: the file.
        choice: the threshold.
        predictions: the calibration predictions that it was chosen on; their SHA-256 goes into the file.
        n_images: pictures that they are about; the guarantees count every question as independent of the others.
        score: name of their confidence, where it is known.
        calibrator: fitted on the same predictions.

    Raises:
        UserError: if it cannot be written.
    """
    document = {
        "format": FORMAT,
        "threshold": to_json(choice.threshold),
        "method": choice.method,
        "target": choice.target,
        "delta": choice.delta,
        "guarantee": choice.guarantee,
        "bound": choice.bound,
        "feasible": choice.feasible,
        "reason": choice.reason,
        "calibration": {
            "n": choice.n,
            "images": n_images,
            "answered": choice.answered,
            "coverage": choice.coverage,
            "risk": choice.risk,
        },
        "predictions": {"file": str(predictions), "sha256": sha256(predictions)},
        "score": score,
        "calibrator": None if calibrator is None else calibrator.to_dict(),
        "versions": versions(),
    }
    if path.is_dir():  # "." has no name that could be that of a part
        raise UserError(f"Expected to write {path} but it cannot be written (it is a folder); choose another")
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        if part.is_file():
            part.unlink()
        raise UserError(
            f"Expected to write {path} but it cannot be written ({error.strerror}); choose another"
        ) from error


def read_threshold(path: Path | str) -> ThresholdFile:
    """Read a threshold file.

    Raises:
        UserError: if it is missing, or not a threshold file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"Expected a threshold file at {path} but there is none; `lit-vlr calibrate` writes one")
    try:
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f"its `format` is not {FORMAT!r}")
        threshold = from_json(document.get("threshold"))
        method, guarantee, reason = (_text(document, key) for key in ("method", "guarantee", "reason"))
        score = None if document.get("score") is None else _text(document, "score")
        calibrator = _calibrator(document.get("calibrator"))
    except (ValueError, OverflowError, RecursionError) as error:  # OverflowError: an integer beyond a float's range
        raise UserError(f"Expected a threshold file but {path} is none: {error}; run `lit-vlr calibrate`") from error
    return ThresholdFile(path, threshold, method, guarantee, reason, score, sha256(path), calibrator)


def _calibrator(values: object) -> Calibrator | None:
    if values is None:  # also in files from before there were any
        return None
    if not isinstance(values, dict):
        raise ValueError(f"`calibrator` is {values!r} and no object")
    return calibrator_from_dict(values)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise ValueError(f"`{key}` is {value!r} and no text")
    return value


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
