"""Run folders read into memory: an arm is a folder, its sets are the predictions files in it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lit_vlr.errors import UserError
from lit_vlr.predictions import manifest_path, read_manifest, read_predictions
from lit_vlr.threshold_file import sha256
from lit_vlr.types import Prediction

_BESIDE = ("config.yaml", "*/config.yaml", "cell.json", "threshold.json", "calibration.jsonl", "gallery/index.json")
"""What else a run folder holds that its answers depend on, or that is shown."""
_CONTROL = "_shuffled"  # what `lit_vlr.recording.RecordShuffledPredictions` adds to the first test set's name


@dataclass(frozen=True)
class PredictionSet:
    """The predictions of one arm on one set.

    Attributes:
        name: the file's stem, ``test`` or ``test+linf_pgd``.
        predictions: in the file's order.
        manifest: how they were made; empty where there is no manifest.
        fits: number of the fit that each is of, where arms are made of fits; else empty.
        thresholds: that the predictions of each fit were decided by, as recorded; None where it was not.
    """

    name: str
    predictions: tuple[Prediction, ...]
    manifest: Mapping[str, Any]
    fits: tuple[int, ...] = ()
    thresholds: Mapping[int, float | None] = field(default_factory=lambda: {0: None})

    @property
    def data(self) -> str:
        """The data set: what comes before the ``+``."""
        return split_name(self.name)[0]

    @property
    def attack(self) -> str | None:
        """The attack: what comes after the ``+``; None for clean pictures."""
        return split_name(self.name)[1]


@dataclass(frozen=True)
class Run:
    """One arm of the report.

    Attributes:
        name: the arm's name, which is the folder's.
        folder: where the run is.
        sets: its sets by name; :func:`set_names` puts them in order.
        files: SHA-256 of what it is made of, by ``<folder's name>/<path>``: predictions, configurations, threshold.
        tested: its test sets in the order in which they were answered, where ``benchmarks.json`` tells; else empty.
    """

    name: str
    folder: Path
    sets: Mapping[str, PredictionSet]
    files: Mapping[str, str] = field(default_factory=dict)
    tested: tuple[str, ...] = ()


def split_name(name: str) -> tuple[str, str | None]:
    """The data set and the attack of a set's name.

    >>> split_name("test+linf_pgd"), split_name("ood_rephrased")
    (('test', 'linf_pgd'), ('ood_rephrased', None))
    """
    data, plus, attack = name.partition("+")
    return data, attack if plus else None


def set_order(name: str, home: str | None = "test") -> tuple[bool, str, str]:
    """Sort key: the set in domain and its attacks first, each data set clean before attacked."""
    data, attack = split_name(name)
    return data != home, data, attack or ""


def set_names(runs: Sequence[Run]) -> list[str]:
    """The sets of any run, in the order of `set_order`."""
    first = home(runs)
    return sorted({name for run in runs for name in run.sets}, key=lambda name: set_order(name, first))


def home(runs: Sequence[Run]) -> str | None:
    """The data set in domain, which the others are seen against; None where nothing tells which it is.

    It is the first test set, which manifests record; for older ones see `home_among`.
    """
    said = {str(one.manifest["home"]) for run in runs for one in run.sets.values() if one.manifest.get("home")}
    return home_among([name for run in runs for name in run.sets], said or {r.tested[0] for r in runs if r.tested})


def home_among(names: Collection[str], said: Collection[str] = ()) -> str | None:
    """The data set in domain among the names of sets.

    Args:
        names: of the sets, attacked ones included.
        said: which set it is, as files of the runs say. Else it is ``test``; else what the blind control was made of;
            else the only one.

    >>> home_among(["far_gqa", "okvqa"], {"okvqa"}), home_among(["far_gqa", "okvqa", "okvqa_shuffled"])
    ('okvqa', 'okvqa')
    """
    data = {split_name(name)[0] for name in names}
    controlled = {name for name in data if f"{name}{_CONTROL}" in data}
    for known in (set(said) & data, data & {"test"}, controlled, data):
        if len(known) == 1:
            return next(iter(known))
    return None


def is_control(data: str, names: Collection[str]) -> bool:
    """Whether a data set is another's questions on pictures of others: no domain of its own.

    >>> is_control("okvqa_shuffled", {"okvqa", "okvqa_shuffled"}), is_control("okvqa_fog_1", {"okvqa", "okvqa_fog_1"})
    (True, False)
    """
    return data.endswith(_CONTROL) and data.removesuffix(_CONTROL) in names


def read_runs(folders: Sequence[Path | str]) -> list[Run]:
    """Read every run.

    Raises:
        FileNotFoundError: if a folder is missing or holds no predictions.
        ValueError: if there is no folder, two have the same name, or a set is empty.
        UserError: if the sets of a run were answered under different thresholds or by different checkpoints.
        PredictionsFormatError: if a predictions file or a manifest cannot be used.
    """
    if not folders:
        raise ValueError("Expected at least one run folder but got none; pass the folders that `lit-vlr test` wrote")
    runs: dict[str, Run] = {}
    for run in map(_read_run, folders):
        if run.name in runs:
            both = f"{str(runs[run.name].folder)!r} and {str(run.folder)!r}"
            raise ValueError(f"Expected one folder an arm but {both} are both {run.name!r}; rename one")
        runs[run.name] = run
    return list(runs.values())


def _read_run(folder: Path | str) -> Run:
    folder = Path(folder)
    files = sorted((folder / "predictions").glob("*.jsonl"), key=lambda path: set_order(path.stem))
    if not files:
        what = "holds none" if folder.is_dir() else "is not a folder"
        message = f"Expected predictions/*.jsonl in the run {str(folder)!r} but it {what}; run `lit-vlr test` first"
        raise FileNotFoundError(message)
    name = folder.resolve().name
    beside = [path for pattern in _BESIDE for path in sorted(folder.glob(pattern))]
    hashes = {f"{name}/{path.relative_to(folder).as_posix()}": sha256(path) for path in [*files, *beside]}
    sets = {path.stem: _read_set(path) for path in files}
    _check_alike(folder, sets)
    return Run(name, folder, sets, hashes, _tested(folder / "benchmarks.json"))


def _tested(table: Path) -> tuple[str, ...]:
    """The sets of what `lit_vlr.benchmark_table.write_table` wrote."""
    return tuple(row["name"] for row in json.loads(table.read_text("utf-8"))["sets"]) if table.is_file() else ()


def _check_alike(folder: Path, sets: Mapping[str, PredictionSet]) -> None:
    """Two tests into one folder leave sets that nothing may be concluded from: what differs is not the attack alone.

    A set without a manifest says nothing of itself and is let pass.
    """
    for key in ("threshold", "checkpoint"):
        values: dict[float | str | None, list[str]] = {}
        for name, one in sets.items():
            if key in one.manifest:
                values.setdefault(_comparable(one.manifest[key]), []).append(name)
        if len(values) > 1:
            found = "; ".join(f"{value} for {', '.join(names)}" for value, names in values.items())
            raise UserError(
                f"Expected one {key} for all sets of the run {str(folder)!r} but got {found}; test again into a fresh"
                " folder, or move what an earlier test left out of this one"
            )


def _comparable(value: Any) -> float | str | None:  # noqa: ANN401 - straight from JSON
    """A checkpoint is one file whether its path is written from here or from the root."""
    if isinstance(value, str):
        return os.path.abspath(value)
    return value if value is None or isinstance(value, int | float) else str(value)


def _read_set(path: Path) -> PredictionSet:
    predictions = tuple(read_predictions(path))
    if not predictions:
        raise ValueError(f"Expected predictions in {str(path)!r} but it is empty; run the test again, or delete it")
    # Predictions of other programs may come without a manifest; the report then says that nothing is recorded.
    manifest = read_manifest(path) if manifest_path(path).is_file() else {}
    return PredictionSet(path.stem, predictions, manifest, thresholds={0: manifest.get("threshold")})
