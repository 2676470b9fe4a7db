"""The study's figures: a row for each arm, set and attack, over seeds, with intervals and paired differences.

Pictures are resampled, and a picture brings its questions under all seeds along; every arm and set is evaluated on the
same resampled pictures, so what makes a picture hard for both sides of a difference cancels. Intervals cover the choice
of pictures, not that of seeds, of which there are too few: the figures of each seed stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lit_vlr.errors import UserError
from lit_vlr.functional import Interval, PairedDifference
from lit_vlr.functional.bootstrap import GroupResampler, align
from lit_vlr.report.runs import home_among, set_order, split_name
from lit_vlr.scoring.weighted import Floats
from lit_vlr.study.answered import Answered, Scored, read_cells
from lit_vlr.study.metrics import metrics_of
from lit_vlr.study.plan import Plan
from lit_vlr.study.stages import missing


@dataclass(frozen=True)
class Row:
    """One arm on one set.

    Attributes:
        arm: its name.
        set: ``test`` or ``test+linf_pgd``.
        seeds: that were tested.
        n: questions under each seed.
        images: pictures that they are about.
        thresholds: in force, seed by seed.
        metrics: by name, see `lit_vlr.study.metrics.metrics_of`.
        by_seed: the same of each seed alone.
    """

    arm: str
    set: str
    seeds: tuple[int, ...]
    n: int
    images: int
    thresholds: tuple[float, ...]
    metrics: Mapping[str, Interval]
    by_seed: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Comparison:
    """One arm's figures on a set minus other ones, question by question.

    Attributes:
        arm: its name.
        set: the set.
        minus_arm: what it is compared with: the baseline on this set, or the arm itself on clean pictures.
        minus_set: the other set; the same for two arms.
        differences: by metric, first minus second.
        ratios: by metric, first over second; of those where a ratio means something.
    """

    arm: str
    set: str
    minus_arm: str
    minus_set: str
    differences: Mapping[str, PairedDifference]
    ratios: Mapping[str, Interval]


@dataclass(frozen=True)
class Table:
    """All figures of a study.

    Attributes:
        baseline: the arm that others are compared with.
        max_risk: what thresholds were to keep.
        n_resamples: behind every interval.
        rows: set by set, and within a set arm by arm.
        arms: each arm against the baseline on the same set.
        attacks: each arm under attack against itself on clean pictures.
        own_for_costs: whether each cost has a threshold of its own, or the one in force.
        home: the data set in domain; None where nothing tells which it is.
    """

    baseline: str
    max_risk: float
    n_resamples: int
    rows: tuple[Row, ...]
    arms: tuple[Comparison, ...]
    attacks: tuple[Comparison, ...]
    own_for_costs: bool = True
    home: str | None = "test"

    def row(self, arm: str, name: str) -> Row | None:
        """The row of an arm on a set."""
        return next((row for row in self.rows if (row.arm, row.set) == (arm, name)), None)


RATIOS = ("aurc", "risk")


def study_table(plan: Plan) -> Table:
    """The table of what is tested so far; arms and seeds that are not are left out.

    Raises:
        UserError: if nothing is, or the predictions cannot be compared.
    """
    through = [cell for cell in plan.cells if not missing(cell)]
    if not through:
        raise UserError(f"Expected tested arms in {plan.root} but there are none; run the study first")
    return make_table(read_cells(through), plan.baseline, plan.threshold.max_risk, plan.costs, plan.n_resamples)


def make_table(
    answered: Answered, baseline: str, max_risk: float, costs: Sequence[float] = (1, 10), n_resamples: int = 1000
) -> Table:
    """All figures of a study.

    Args:
        answered: by set, arm and seed.
        baseline: the arm to compare with; where it is not among them, nothing is compared.
        max_risk: what thresholds were to keep.
        costs: prices of a wrong answer.
        n_resamples: of the bootstrap.

    Raises:
        UserError: if two arms or seeds have answered different questions of one set.
    """
    every = [scored for arms in answered.values() for seeds in arms.values() for scored in seeds.values()]
    home = home_among(answered, {scored.home for scored in every if scored.home})
    names = sorted(answered, key=lambda name: set_order(name, home))
    cells = {
        (arm, name): _Cell(seeds, (arm, name), max_risk, costs, n_resamples)
        for name in names
        for arm, seeds in _aligned(name, answered[name]).items()
    }
    pairs = [((arm, name), (baseline, name)) for arm, name in cells if arm != baseline]
    attacks = [((arm, name), (arm, split_name(name)[0])) for arm, name in cells if split_name(name)[1] is not None]
    return Table(
        baseline,
        max_risk,
        n_resamples,
        tuple(cell.row() for cell in cells.values()),
        tuple(cells[first].minus(cells[second]) for first, second in pairs if second in cells),
        tuple(
            cells[first].minus(cells[second])
            for first, second in attacks
            if second in cells and set(cells[second].uids) == set(cells[first].uids)
        ),
        all(scored.by_cost for scored in every),
        home,
    )


class _Cell:
    """One arm on one set: its figures, and the same on every resample."""

    def __init__(
        self, seeds: Mapping[int, Scored], key: tuple[str, str], max_risk: float, costs: Sequence[float], resamples: int
    ) -> None:
        self.seeds, (self.arm, self.set) = seeds, key
        every = list(seeds.values())
        first = every[0].answers
        self.uids, self.images = first.uids, first.images
        self.resampler = GroupResampler(first.images, len(first.uids), resamples)
        whole = np.ones((1, len(first.uids)), np.int64)
        self.values = _single(metrics_of(every, whole, max_risk, costs))
        self.by_seed = [_single(metrics_of([one], whole, max_risk, costs)) for one in every]
        tables = [metrics_of(every, weights, max_risk, costs) for weights in self.resampler.weights()]
        self.resampled: dict[str, Floats] = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}

    def row(self) -> Row:
        intervals = {name: self.resampler.interval(value, self.resampled[name]) for name, value in self.values.items()}
        return Row(
            self.arm,
            self.set,
            tuple(self.seeds),
            len(self.uids),
            self.resampler.n_groups,
            tuple(scored.threshold for scored in self.seeds.values()),
            intervals,
            {name: tuple(one[name] for one in self.by_seed) for name in self.values},
        )

    def minus(self, other: _Cell) -> Comparison:
        draw = self.resampler
        differences = {
            name: draw.difference(value - other.values[name], self.resampled[name] - other.resampled[name])
            for name, value in self.values.items()
        }
        ratios = {
            name: draw.interval(
                float(_ratio(self.values[name], other.values[name])),
                _ratio(self.resampled[name], other.resampled[name]),
            )
            for name in RATIOS
        }
        return Comparison(self.arm, self.set, other.arm, other.set, differences, ratios)


def _ratio(first: Floats | float, second: Floats | float) -> Floats:
    """First over second; NaN over zero, where there is no ratio."""
    above, below = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))


def _single(found: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in found.items()}


def _aligned(name: str, arms: Mapping[str, Mapping[int, Scored]]) -> dict[str, dict[int, Scored]]:
    """Every arm's and seed's rows in the order of the first's."""
    first = next(scored.answers for seeds in arms.values() for scored in seeds.values())
    found: dict[str, dict[int, Scored]] = {}
    for arm, seeds in arms.items():
        for seed, scored in seeds.items():
            try:
                rows = align(first.uids, scored.answers.uids, len(first.uids), len(scored.answers.uids))
            except ValueError as error:
                raise UserError(
                    f"Expected every arm to answer the same questions of {name} but {arm} under seed {seed} does not: "
                    f"{error}"
                ) from error
            answers = scored.answers.rows(rows)
            if answers.images != first.images:
                raise UserError(f"Expected the questions of {name} on the same pictures in every arm; {arm} has others")
            found.setdefault(arm, {})[seed] = replace(scored, answers=answers)
    return found
