"""The report's numbers: one row an arm and set, and the paired differences that the sentences rest on.

Intervals are bootstrapped over *pictures*: questions on one picture share what makes it easy or hard, so resampling
questions would give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import SupportsFloat, TypeAlias

import numpy as np
import numpy.typing as npt

from lit_vlr.functional import (
    Interval,
    abstention_rate,
    aurc,
    coverage_at_risk,
    group_bootstrap,
    selective_accuracy,
)
from lit_vlr.report.contrasts import Contrast, accuracies, accuracy_of, losses, paired, uncompared
from lit_vlr.report.pooling import mean_over_fits
from lit_vlr.report.runs import PredictionSet, Run, home, set_names
from lit_vlr.types import Prediction

Floats: TypeAlias = npt.NDArray[np.float64]
MAX_RISK = 0.1
"""The risk of the coverage-at-risk column."""


@dataclass(frozen=True)
class Rates:
    """What can be read off the decisions alone; what needs labels is None where there are none.

    Attributes:
        accuracy: over all questions, abstained or not.
        abstention: share of questions on which the arm abstained.
        selective_accuracy: accuracy of the answered questions; None where nothing was answered, too.
    """

    accuracy: Interval | None
    abstention: Interval
    selective_accuracy: Interval | None


@dataclass(frozen=True)
class Row:
    """One arm on one set.

    Attributes:
        arm: the run's name.
        set: the set's name.
        data: the data set of it.
        attack: the attack of it; None for clean pictures.
        n: predictions.
        n_labelled: predictions with an accuracy; the quantities that need one are over these.
        rates: accuracy, abstention and selective accuracy.
        aurc: area under the risk-coverage curve, mean convention.
        coverage_at_risk: largest coverage with at most `MAX_RISK`.
    """

    arm: str
    set: str
    data: str
    attack: str | None
    n: int
    n_labelled: int
    rates: Rates
    aurc: Interval | None
    coverage_at_risk: Interval | None


@dataclass(frozen=True)
class Change:
    """What one attack did to one arm, question by question, over the questions that both sets have.

    Attributes:
        arm: the run's name.
        data: the data set.
        attack: the attack.
        n: questions in both.
        clean: the rates on them, clean.
        attacked: and attacked.
        accuracy_loss: clean minus attacked accuracy, paired; None without labels.
        abstention_rise: attacked minus clean abstention rate, paired.
    """

    arm: str
    data: str
    attack: str
    n: int
    clean: Rates
    attacked: Rates
    accuracy_loss: Interval | None
    abstention_rise: Interval


@dataclass(frozen=True)
class Summary:
    """Everything that the report says in numbers.

    Attributes:
        arms: names, in the order in which the runs were given.
        sets: names of all sets of any arm, in the order of `set_order`.
        rows: set by set, and within a set arm by arm.
        changes: one for each attacked set that has its clean twin.
        loss_contrasts: how much more each later arm lost than the first one.
        clean_contrasts: how much more accurate each later arm is on clean pictures, on data sets that were attacked.
        n_resamples: behind every interval but the next ones.
        n_resamples_rows: behind those of selective accuracy, AURC and coverage at risk, which are no plain means and
            need the rows of every resample.
        home: the data set in domain; None where nothing tells which it is.
        uncompared: arm, first arm and sets, where both have a set but no question of it in one fit.
    """

    arms: tuple[str, ...]
    sets: tuple[str, ...]
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    loss_contrasts: tuple[Contrast, ...]
    clean_contrasts: tuple[Contrast, ...]
    n_resamples: int
    n_resamples_rows: int
    home: str | None = None
    uncompared: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def rows_of(self, arm: str) -> list[Row]:
        """The rows of one arm."""
        return [row for row in self.rows if row.arm == arm]


def negate(interval: Interval) -> Interval:
    """The interval of minus the quantity."""
    return Interval(-interval.value, -interval.high, -interval.low)


def complement(interval: Interval) -> Interval:
    """The interval of one minus the quantity."""
    return Interval(1 - interval.value, 1 - interval.high, 1 - interval.low)


def summarize(runs: Sequence[Run], *, n_resamples: int = 1000, n_resamples_rows: int = 500) -> Summary:
    """All the numbers of a report.

    Args:
        runs: the arms; the first one is the baseline of the contrasts.
        n_resamples: of the bootstrap.
        n_resamples_rows: of the bootstrap of what is not a plain mean, which is much slower.
    """
    names = set_names(runs)
    cells = [(run, run.sets[name]) for name in names for run in runs if name in run.sets]
    rows = {(run.name, one.name): _row(run.name, one, n_resamples, n_resamples_rows) for run, one in cells}
    changes = []
    for name in names:
        for run in runs:
            attacked = run.sets.get(name)
            clean = run.sets.get(attacked.data) if attacked and attacked.attack is not None else None
            if (
                attacked
                and clean
                and (change := _change(run.name, clean, attacked, rows, n_resamples, n_resamples_rows))
            ):
                changes.append(change)
    compared = [*losses(runs, names), *accuracies(runs, names)]
    contrasts = [one for found in compared for one in found.contrasts(n_resamples)]
    return Summary(
        arms=tuple(run.name for run in runs),
        sets=tuple(names),
        rows=tuple(rows.values()),
        changes=tuple(changes),
        loss_contrasts=tuple(one for one in contrasts if one.attack is not None),
        clean_contrasts=tuple(one for one in contrasts if one.attack is None),
        n_resamples=n_resamples,
        n_resamples_rows=n_resamples_rows,
        home=home(runs),
        uncompared=tuple(uncompared(compared)),
    )


def labelled(predictions: Sequence[Prediction]) -> tuple[Floats, Floats, Floats]:
    """Confidence, correctness, and 1 where it was declined in words, of the predictions that have labels."""
    rows = [(p.confidence, p.accuracy, p.declined) for p in predictions if p.accuracy is not None]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def fits_of(one: PredictionSet) -> Floats:
    """The fit of each prediction that has labels; 0 where there is one fit."""
    fits = one.fits or (0,) * len(one.predictions)
    return np.array([fit for fit, p in zip(fits, one.predictions, strict=True) if p.accuracy is not None], np.float64)


def _row(arm: str, one: PredictionSet, n_resamples: int, n_resamples_rows: int) -> Row:
    columns = labelled(one.predictions)
    groups = [p.image_id for p in one.predictions if p.accuracy is not None]
    fits = fits_of(one)
    bootstrap = partial(group_bootstrap, groups=groups, n_resamples=n_resamples_rows)

    def rank(metric: Callable[..., SupportsFloat]) -> Interval:
        return bootstrap(mean_over_fits(metric), *columns, fits)

    has_labels = len(groups) > 0
    return Row(
        arm=arm,
        set=one.name,
        data=one.data,
        attack=one.attack,
        n=len(one.predictions),
        n_labelled=len(groups),
        rates=_rates(one.predictions, n_resamples, n_resamples_rows),
        aurc=rank(aurc) if has_labels else None,
        coverage_at_risk=rank(partial(coverage_at_risk, max_risk=MAX_RISK)) if has_labels else None,
    )


def _rates(predictions: Sequence[Prediction], n_resamples: int, n_resamples_rows: int) -> Rates:
    known = [p for p in predictions if p.accuracy is not None]
    correctness = np.array([p.accuracy for p in known], dtype=np.float64)
    abstained = np.array([p.abstained for p in known], dtype=np.float64)
    every = np.array([p.abstained for p in predictions], dtype=np.float64)
    # The mean of a column is bootstrapped without making the resampled columns; `abstention_rate` is that mean.
    rate = group_bootstrap("mean", every, groups=[p.image_id for p in predictions], n_resamples=n_resamples)
    rate = Interval(float(abstention_rate(every)), rate.low, rate.high)
    if not known:
        return Rates(accuracy=None, abstention=rate, selective_accuracy=None)
    bootstrap = partial(group_bootstrap, groups=[p.image_id for p in known])
    answered = None
    if not abstained.all():
        answered = bootstrap(selective_accuracy, correctness, abstained, n_resamples=n_resamples_rows)
    accuracy = bootstrap("mean", correctness, n_resamples=n_resamples)
    return Rates(accuracy=accuracy, abstention=rate, selective_accuracy=answered)


def _change(
    arm: str,
    clean: PredictionSet,
    attacked: PredictionSet,
    rows: dict[tuple[str, str], Row],
    n_resamples: int,
    n_resamples_rows: int,
) -> Change | None:
    before, after = _shared(clean.predictions, attacked.predictions)
    assert attacked.attack is not None  # the caller looked
    if not before:
        return None
    known = [(p, q) for p, q in zip(before, after, strict=True) if p.accuracy is not None and q.accuracy is not None]
    loss = None
    if known:
        loss = paired(
            [p for p, _ in known], [accuracy_of(p) for p, _ in known], [accuracy_of(q) for _, q in known], n_resamples
        )

    def rates(one: PredictionSet, shared: Sequence[Prediction]) -> Rates:
        is_whole = len(shared) == len(one.predictions)
        return rows[arm, one.name].rates if is_whole else _rates(shared, n_resamples, n_resamples_rows)

    return Change(
        arm=arm,
        data=attacked.data,
        attack=attacked.attack,
        n=len(before),
        clean=rates(clean, before),
        attacked=rates(attacked, after),
        accuracy_loss=loss,
        abstention_rise=paired(before, [p.abstained for p in after], [p.abstained for p in before], n_resamples),
    )


def _shared(clean: Sequence[Prediction], attacked: Sequence[Prediction]) -> tuple[list[Prediction], list[Prediction]]:
    """The predictions of the uids that both have, in the attacked set's order: attacks are often run on fewer."""
    by_uid = {p.uid: p for p in clean}
    after = [p for p in attacked if p.uid in by_uid]
    return [by_uid[p.uid] for p in after], after
