"""Arms compared with the first one: question by question, and where arms are made of fits, fit by fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lit_vlr.functional import Interval, paired_difference
from lit_vlr.report.pooling import Key, by_question
from lit_vlr.report.runs import Run, split_name
from lit_vlr.types import Prediction

Values: TypeAlias = Mapping[Key, tuple[Prediction, float]]
"""What an arm is compared by: a quantity of each question in each fit, and a prediction that it is of."""


@dataclass(frozen=True)
class Contrast:
    """An arm against the first arm that has the set, over the questions that both have.

    Attributes:
        arm: the run's name.
        baseline: the first run's name.
        data: the data set.
        attack: the attack; None for clean accuracy.
        n: questions in both, once a fit.
        difference: the arm's quantity minus the baseline's: the loss under `attack`, or the clean accuracy.
        fits: how many fits it is over, where one of the arms has fits that the other has not; else None.
    """

    arm: str
    baseline: str
    data: str
    attack: str | None
    n: int
    difference: Interval
    fits: int | None = None


@dataclass(frozen=True)
class Compared:
    """What arms are compared by on one set: each later one with the first that has it.

    Attributes:
        set: the set's name.
        values: by arm; none is empty.
    """

    set: str
    values: Mapping[str, Values]

    def pairs(self) -> Iterator[tuple[str, str, list[tuple[Prediction, float, float]]]]:
        """Each later arm and the first, with the quantities of both."""
        first = next(iter(self.values), None)
        for arm in self.values:
            if first is not None and arm != first:
                yield arm, first, _shared(self.values[arm], self.values[first])

    def contrasts(self, n_resamples: int) -> Iterator[Contrast]:
        """Each later arm minus the first, over the questions that both have in fits that both have."""
        data, attack = split_name(self.set)
        for arm, first, both in self.pairs():
            if both:
                difference = paired(
                    [p for p, _, _ in both], [x for _, x, _ in both], [y for _, _, y in both], n_resamples
                )
                fits = _shared_fits(self.values[arm], self.values[first])
                yield Contrast(arm, first, data, attack, len(both), difference, fits)


def losses(runs: Sequence[Run], names: Sequence[str]) -> Iterator[Compared]:
    """The loss of each arm under each attack."""
    for name in names:
        data, attack = split_name(name)
        if attack is not None:
            yield Compared(name, {run.name: found for run in runs if (found := _loss(run, data, name))})


def accuracies(runs: Sequence[Run], names: Sequence[str]) -> Iterator[Compared]:
    """The clean accuracy of each arm, on the data sets that were attacked."""
    for data in dict.fromkeys(data for data, attack in map(split_name, names) if attack is not None):
        yield Compared(data, {run.name: found for run in runs if (found := _accuracy(run, data))})


def uncompared(compared: Sequence[Compared]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Arms that share nothing with the first, and on which sets: without a word it would look like no difference."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in compared:
        for arm, first, both in one.pairs():
            if not both:
                found.setdefault((arm, first), []).append(one.set)
    return [(arm, first, tuple(sets)) for (arm, first), sets in found.items()]


def _loss(run: Run, data: str, name: str) -> Values:
    if data not in run.sets or name not in run.sets:
        return {}
    clean, attacked = by_question(run.sets[data]), by_question(run.sets[name])
    return {
        key: (clean[key], accuracy_of(clean[key]) - accuracy_of(q))
        for key, q in attacked.items()
        if key in clean and clean[key].accuracy is not None and q.accuracy is not None
    }


def _accuracy(run: Run, data: str) -> Values:
    if data not in run.sets:
        return {}
    return {key: (p, p.accuracy) for key, p in by_question(run.sets[data]).items() if p.accuracy is not None}


def _shared(first: Values, second: Values) -> list[tuple[Prediction, float, float]]:
    """Both quantities of every question in every fit that both have.

    An arm whose fits are not numbered goes with every fit of the other.
    """
    keys = second if _fits(first) == {None} else first
    found = []
    for key, (prediction, _) in keys.items():
        one, other = (values.get(key, values.get((key[0], None))) for values in (first, second))
        if one is not None and other is not None:
            found.append((prediction, one[1], other[1]))
    return found


def _fits(values: Values) -> set[int | None]:
    return {fit for _, fit in values}


def _shared_fits(first: Values, second: Values) -> int | None:
    """How many fits both have, where one has others, too."""
    fits, others = _fits(first), _fits(second)
    return None if fits == others or {None} in (fits, others) else len(fits & others)


def paired(
    predictions: Sequence[Prediction], first: Sequence[float], second: Sequence[float], n_resamples: int
) -> Interval:
    """First minus second, both in the order of `predictions`."""
    uids = [p.uid for p in predictions]
    groups = [p.image_id for p in predictions]
    value, low, high, _ = paired_difference(
        "mean", [first], [second], first_uids=uids, second_uids=uids, groups=groups, n_resamples=n_resamples
    )
    return Interval(value, low, high)


def accuracy_of(prediction: Prediction) -> float:
    """The accuracy of a prediction that is known to have one."""
    assert prediction.accuracy is not None  # the callers filter
    return prediction.accuracy
