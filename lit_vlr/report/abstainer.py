"""What attacks did to the decision to answer: right answers that are withheld, or wrong ones that are given instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lit_vlr.functional import Interval, group_bootstrap, paired_difference
from lit_vlr.report import words
from lit_vlr.report.runs import Run, set_names
from lit_vlr.types import Prediction

COST = 1.0
"""Price of a wrong answer in the table's effective reliability."""

COLUMNS = (
    "Set",
    "Arm",
    "Right and given, clean",
    "→ withheld",
    "→ wrong and given",
    f"Φ{COST:g} clean",
    f"Φ{COST:g} attacked",
    "Loss",
)

NOTE = (
    f"Of the questions that were answered rightly on clean pictures (accuracy above 0, at the threshold in force): the"
    f" share that the attack had withheld, and the share that it had answered wrongly (accuracy 0) without abstaining."
    f" Φ{COST:g} is effective reliability over all questions: a right answer earns its accuracy, a wrong one given"
    f" costs {COST:g}, abstaining earns nothing. The loss is paired by question."
)


@dataclass(frozen=True)
class Harm:
    """What one attack made of one arm's decisions, over the labelled questions that clean and attacked set share.

    Attributes:
        arm: the run's name.
        set: the attacked set's name.
        n: questions.
        right: of these, right and given on the clean picture.
        withheld: share of ``right`` that is abstained from under attack; None where there are none.
        wrong: share of ``right`` that is wrong and given under attack; None where there are none.
        clean: mean reward on clean pictures, in [-COST, 1].
        attacked: mean reward on attacked ones.
        loss: clean minus attacked, paired.
    """

    arm: str
    set: str
    n: int
    right: int
    withheld: Interval | None
    wrong: Interval | None
    clean: Interval
    attacked: Interval
    loss: Interval


def harms(runs: Sequence[Run], n_resamples: int) -> list[Harm]:
    """One for each attacked set with labels that has its clean twin: set by set, and within a set arm by arm."""
    names = set_names(runs)
    found = [(run, name) for name in names for run in runs if name in run.sets]
    return [one for run, name in found if (one := _harm(run, name, n_resamples)) is not None]


def reward(prediction: Prediction) -> float:
    """What a prediction adds to effective reliability, before the mean.

    >>> [reward(Prediction("u", "i", "q", "a", 0.9, abstained, accuracy)) for abstained, accuracy in
    ...  ((False, 0.6), (False, 0.0), (True, 1.0))]
    [0.6, -1.0, 0.0]
    """
    if prediction.abstained:
        return 0.0
    return prediction.accuracy if prediction.accuracy else -COST


def _harm(run: Run, name: str, n_resamples: int) -> Harm | None:
    attacked = run.sets[name]
    clean = run.sets.get(attacked.data)
    if attacked.attack is None or clean is None:
        return None
    before = {p.uid: p for p in clean.predictions if p.accuracy is not None}
    pairs = [(before[q.uid], q) for q in attacked.predictions if q.uid in before and q.accuracy is not None]
    if not pairs:
        return None
    right = [(p, q) for p, q in pairs if not p.abstained and p.accuracy]
    uids, pictures = [p.uid for p, _ in pairs], [p.image_id for p, _ in pairs]
    rewards = [[reward(p) for p, _ in pairs], [reward(q) for _, q in pairs]]
    loss = paired_difference(
        "mean",
        rewards[:1],
        rewards[1:],
        first_uids=uids,
        second_uids=uids,
        groups=pictures,
        n_resamples=n_resamples,
    )

    def share(values: list[bool]) -> Interval | None:
        return _mean(values, [p.image_id for p, _ in right], n_resamples) if right else None

    return Harm(
        arm=run.name,
        set=name,
        n=len(pairs),
        right=len(right),
        withheld=share([q.abstained for _, q in right]),
        wrong=share([not q.abstained and q.accuracy == 0 for _, q in right]),
        clean=_mean(rewards[0], pictures, n_resamples),
        attacked=_mean(rewards[1], pictures, n_resamples),
        loss=Interval(loss.value, loss.low, loss.high),
    )


def _mean(values: Sequence[float], groups: list[str], n_resamples: int) -> Interval:
    return group_bootstrap("mean", values, groups=groups, n_resamples=n_resamples)


def cells(harm: Harm) -> list[tuple[str, str] | None]:
    """Value and interval of every column after the arm; None is not defined."""

    def share(interval: Interval | None) -> tuple[str, str] | None:
        return None if interval is None else (words.percent(interval.value), words.brackets(interval))

    def mean(interval: Interval) -> tuple[str, str]:
        # A true minus sign, and no minus zero, as everywhere in the report.
        return (f"{round(interval.value, 3) + 0.0:.3f}".replace("-", "−"), words.brackets(interval, scale=1, digits=3))

    return [
        (f"{harm.right:,}", f"of {harm.n:,}"),
        share(harm.withheld),
        share(harm.wrong),
        mean(harm.clean),
        mean(harm.attacked),
        mean(harm.loss),
    ]


def table(found: Sequence[Harm]) -> list[dict[str, Any]]:
    """The rows by set, for the page."""
    return [
        {"set": name, "rows": [{"arm": h.arm, "cells": cells(h)} for h in found if h.set == name]}
        for name in dict.fromkeys(h.set for h in found)
    ]
