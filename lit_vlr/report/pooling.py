"""Several fits of one arm, which differ by their seed, shown as one arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsFloat, TypeAlias

import numpy as np
import numpy.typing as npt

from lit_vlr.errors import UserError
from lit_vlr.functional import RiskCoverage
from lit_vlr.report.runs import PredictionSet, Run, read_runs
from lit_vlr.types import Prediction

Floats: TypeAlias = npt.NDArray[np.float64]
Key: TypeAlias = tuple[str, int | None]
"""A question's uid in the file, and the number of the fit; None where fits are not numbered."""


def read_arms(arms: Mapping[str, Sequence[Path | str]]) -> list[Run]:
    """One run an arm, with the answers of all its folders.

    Fits are numbered by the seed of their manifests, so that arms of which some seeds are missing are still paired seed
    by seed. If any fit of any arm has none recorded, or several, all are numbered by their place among their arm's.

    Raises:
        ValueError: if an arm has no folder, or what `read_runs` refuses.
        UserError: if two fits of an arm have one seed, or as `read_runs`.
        FileNotFoundError: as `read_runs`.
        PredictionsFormatError: as `read_runs`.
    """
    runs = {name: read_runs(folders) for name, folders in arms.items()}
    seeds = {name: [_seed(run) for run in found] for name, found in runs.items()}
    if any(seed is None for found in seeds.values() for seed in found):
        return [pool(name, dict(enumerate(found))) for name, found in runs.items()]
    for name, found in seeds.items():
        if twice := [seed for place, seed in enumerate(found) if seed in found[:place]]:
            both = " and ".join(
                repr(str(run.folder)) for run, seed in zip(runs[name], found, strict=True) if seed == twice[0]
            )
            raise UserError(f"Expected one fit a seed of {name!r} but {both} have seed {twice[0]}; leave one out")
    return [
        pool(name, {seed: run for seed, run in zip(seeds[name], found, strict=True) if seed is not None})
        for name, found in runs.items()
    ]


def pool(name: str, fits: Mapping[int, Run]) -> Run:
    """Fits of one arm as one run.

    A question comes once a fit, under ``<uid>#<fit>``, so that pairs of arms go fit by fit; its picture is the same,
    so that the bootstrap draws all fits' answers on it together. The gallery is that of the fit with the lowest number.

    The only run of an arm that was not fitted stays as it is: there is no other fit of it, and it is paired with every
    fit of the others.

    Args:
        name: of the arm.
        fits: its runs by the number of the fit.
    """
    runs = [fits[fit] for fit in sorted(fits)]
    if len(runs) == 1 and not _fitted(runs[0]):
        return replace(runs[0], name=name)
    names = dict.fromkeys(key for run in runs for key in run.sets)
    sets = {
        key: _pool_set({fit: fits[fit].sets[key] for fit in sorted(fits) if key in fits[fit].sets}) for key in names
    }
    files = {file: found for run in runs for file, found in run.files.items()}
    return Run(name, runs[0].folder, sets, files, runs[0].tested)


def by_question(one: PredictionSet) -> dict[Key, Prediction]:
    """The predictions of a set by their key."""
    if not one.fits:
        return {(p.uid, None): p for p in one.predictions}
    return {(p.uid.removesuffix(f"#{fit}"), fit): p for p, fit in zip(one.predictions, one.fits, strict=True)}


def _seed(run: Run) -> int | None:
    """The seed that all manifests of a run agree on."""
    seeds = {
        one.manifest.get("seed") if isinstance(one.manifest.get("seed"), int) else None for one in run.sets.values()
    }
    return seeds.pop() if len(seeds) == 1 else None


def _fitted(run: Run) -> bool:
    """Whether a run is of more than the base model, as far as manifests tell: those without the entry do not."""
    return any(one.manifest.get("checkpoint", "unknown") is not None for one in run.sets.values())


def _pool_set(sets: Mapping[int, PredictionSet]) -> PredictionSet:
    """By fit; a fit that lacks this set keeps its number, so that clean and attacked answers are paired fit by fit."""
    rows = [(replace(p, uid=f"{p.uid}#{fit}"), fit) for fit, one in sets.items() for p in one.predictions]
    first = next(iter(sets.values()))
    manifest = {key: _agreed([one.manifest.get(key) for one in sets.values()]) for key in first.manifest}
    predictions, fits = zip(*rows, strict=True)
    thresholds = {fit: one.thresholds[0] for fit, one in sets.items()}
    return PredictionSet(first.name, predictions, manifest, fits, thresholds)


def _agreed(values: Sequence[Any]) -> Any:  # noqa: ANN401 - straight from JSON
    """A manifest's entry that all fits share; else all of theirs, and of nested entries the first fit's."""
    if all(value == values[0] for value in values) or isinstance(values[0], Mapping):
        return values[0]
    return ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values)


def mean_over_fits(metric: Callable[..., SupportsFloat]) -> Callable[[Floats, Floats, Floats, Floats], float]:
    """A metric of each fit alone, then their mean: confidences of two fits are not of one scale."""

    def mean(confidence: Floats, correctness: Floats, declined: Floats, fit: Floats) -> float:
        values = []
        for one in np.unique(fit):
            own = fit == one
            values.append(float(metric(confidence[own], correctness[own], abstained=declined[own])))
        return float(np.mean(values))

    return mean


def mean_curve(curves: Sequence[RiskCoverage]) -> tuple[list[float], list[float]]:
    """Coverage and risk of the mean over fits, whose area is the mean of their areas.

    At each coverage that some fit has a cut at; within a tied block the cumulative loss is interpolated, as areas do.
    Where fits declined in words it ends with the one that answers least.
    """
    coverage = np.unique(np.concatenate([curve.coverage.numpy() for curve in curves]))
    coverage = coverage[coverage <= min(float(curve.coverage[-1]) for curve in curves)]

    def risk(curve: RiskCoverage) -> Floats:
        own = curve.coverage.numpy()
        lost = np.concatenate([[0.0], own * curve.risk.numpy()])
        return np.asarray(np.interp(coverage, np.concatenate([[0.0], own]), lost) / coverage)

    return coverage.tolist(), np.mean([risk(curve) for curve in curves], axis=0).tolist()
