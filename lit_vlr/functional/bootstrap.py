"""Bootstrap intervals that respect that several questions share one picture.

Questions on one picture succeed and fail together, so resampling them one by one pretends to more data than there is.
Here whole groups (image ids) are drawn with replacement, and every row of a drawn group comes along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, SupportsFloat, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lit_vlr.functional._validation import ArrayLike
from lit_vlr.functional.pairing import check_same_ids, check_unique_ids

Statistic: TypeAlias = Callable[..., SupportsFloat] | Literal["mean"]
"""A function of the resampled columns (numpy arrays), or ``"mean"`` of the single column, which is much faster."""
_Floats: TypeAlias = npt.NDArray[np.float64]
_Integers: TypeAlias = npt.NDArray[np.int64]

_DRAWS_AT_ONCE = 1 << 20  # bounds the memory of the draws: 8 MB of indices
_ROUNDING = 1e-12  # .3 + .6 and .9 are one sum: a difference this small is no difference


class Interval(NamedTuple):
    """A statistic with its confidence interval.

    Attributes:
        value: the statistic on all rows.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


class PairedDifference(NamedTuple):
    """The difference of a statistic between two prediction sets, first minus second.

    Attributes:
        value: the difference on all rows.
        low: lower end of its interval.
        high: upper end of its interval.
        p_value: two-sided, for the hypothesis of no difference, in (0, 1].
    """

    value: float
    low: float
    high: float
    p_value: float


def group_bootstrap(
    statistic: Statistic,
    *arrays: ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any] | Tensor,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic, resampling groups.

    Each resample draws G of the G groups with replacement; the interval runs between the (1 - level)/2 and
    (1 + level)/2 quantiles of the statistic over resamples. Groups differ in size, so resamples differ in their number
    of rows, and ``"mean"`` is the mean over the rows.

    Args:
        statistic: called with one numpy array for each of ``arrays``, rows of a group drawn twice given twice;
            ``"mean"`` takes exactly one array.
        *arrays: columns of N rows each, for example confidence and correctness.
        groups: group labels of the rows (image ids), N of them.
        n_resamples: number of resamples.
        level: coverage of the interval, in (0, 1).
        seed: of the resampling; equal seeds and groups give equal resamples, whatever the statistic.

    Returns:
        The statistic and its interval. Both ends are NaN with a single group, from which no spread can be learned, and
        where the statistic is NaN on any resample: leaving such resamples out would narrow the interval silently.

    Raises:
        ValueError: for no or unequal columns, ``"mean"`` of several columns, ``n_resamples`` below 1, or ``level``
            outside (0, 1).

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, Chapter 13 (percentile intervals); Davison and
        Hinkley, "Bootstrap Methods and their Application", 1997, Section 3.8 (resampling whole clusters).

    Example:
        >>> correct = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
        >>> pictures = ["a", "a", "b", "b", "c", "d"]
        >>> interval = group_bootstrap("mean", correct, groups=pictures, seed=0)
        >>> [round(end, 3) for end in interval]
        [0.667, 0.143, 1.0]
    """
    _check_level(level)
    columns = _columns(statistic, arrays)
    resampler = GroupResampler(groups, len(columns[0]), n_resamples, seed)
    return resampler.interval(_evaluate(statistic, columns), resampler.distribution(statistic, columns), level)


def paired_difference(
    statistic: Statistic,
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    *,
    first_uids: Sequence[str],
    second_uids: Sequence[str],
    groups: Sequence[Any] | npt.NDArray[Any] | Tensor,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    r"""Difference of a statistic between two prediction sets on the same samples, first minus second.

    Both sets are evaluated on the same resampled groups, so what makes a picture hard for both cancels.

    .. math:: p = \min\left(1,\ 2\,\frac{1 + \min(\#\{d^*_r \le 0\},\ \#\{d^*_r \ge 0\})}{n_\text{resamples} + 1}\right)

    so that p is below 1 - level where the interval leaves out zero, up to Monte Carlo error, and never 0.

    Args:
        statistic: as in :func:`group_bootstrap`.
        first: columns of the first set, N rows each; a one-element sequence for ``"mean"``.
        second: the same columns of the second set, in any row order.
        first_uids: sample uids of the rows of ``first``.
        second_uids: sample uids of the rows of ``second``: the same uids, each once.
        groups: group labels (image ids) of the rows of ``first``.
        n_resamples: number of resamples.
        level: coverage of the interval, in (0, 1).
        seed: of the resampling.

    Returns:
        Difference, interval and p value; NaN as in :func:`group_bootstrap`, the p value included.

    Raises:
        ValueError: for duplicate uids, uids of one set only, or the reasons of :func:`group_bootstrap`.

    Reference:
        Davison and Hinkley, "Bootstrap Methods and their Application", 1997, Chapter 4 (the added one); Koehn,
        "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004, Section 4 (paired resampling).

    Example:
        >>> tuned, base = [1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]
        >>> result = paired_difference(
        ...     "mean", [tuned], [base[::-1]], first_uids=["q1", "q2", "q3", "q4"],
        ...     second_uids=["q4", "q3", "q2", "q1"], groups=["a", "b", "c", "d"], seed=0)
        >>> result.value, result.low, result.high
        (0.5, 0.0, 1.0)
        >>> result.p_value > 0.05
        True
    """
    _check_level(level)
    columns, others = _columns(statistic, first), _columns(statistic, second)
    if len(columns) != len(others):
        raise ValueError(
            f"Expected `first` and `second` of as many columns but got {len(columns)} and {len(others)}; pass the same "
            "columns of both prediction sets"
        )
    rows = align(first_uids, second_uids, len(columns[0]), len(others[0]))
    others = [column[rows] for column in others]

    resampler = GroupResampler(groups, len(columns[0]), n_resamples, seed)
    value = _evaluate(statistic, columns) - _evaluate(statistic, others)
    differences = resampler.distribution(statistic, columns) - resampler.distribution(statistic, others)
    return resampler.difference(value, differences, level)


class GroupResampler:
    """Draws groups of rows; the draws depend on the seed, the number of groups and of resamples, and on nothing else.

    For statistics of many resamples at once; :func:`group_bootstrap` and :func:`paired_difference` are made of it.

    Args:
        groups: group labels of the rows, N of them.
        n_rows: N.
        n_resamples: number of resamples.
        seed: of the draws.

    Raises:
        ValueError: for labels that are not one a row, or no resamples.
    """

    def __init__(
        self, groups: Sequence[Any] | npt.NDArray[Any] | Tensor, n_rows: int, n_resamples: int, seed: int = 0
    ) -> None:
        labels = np.asarray(groups.detach().cpu() if isinstance(groups, Tensor) else groups)
        if labels.shape != (n_rows,):
            raise ValueError(
                f"Expected `groups` of shape ({n_rows},), one label a row, but got {labels.shape}; pass the image id "
                "of every row"
            )
        if n_resamples < 1:
            raise ValueError(f"Expected `n_resamples` of at least 1 but got {n_resamples}; 1000 is usual")
        # Sorted labels number the groups, so that reordering the rows reorders no draw.
        names, self.group_of_row = np.unique(labels, return_inverse=True)
        self.n_groups = len(names)
        self.n_resamples = n_resamples
        self.seed = seed

    def weights(self) -> Iterator[_Integers]:
        """How often each resample has each row, several resamples at a time, (resamples, N)."""
        for counts in self._counts():
            yield counts[:, self.group_of_row]

    def distribution(self, statistic: Statistic, columns: list[npt.NDArray[Any]]) -> _Floats:
        """The statistic on every resample, (n_resamples,)."""
        if statistic == "mean":
            # A mean needs the sums and sizes of the drawn groups, never their rows.
            sums = np.bincount(self.group_of_row, weights=columns[0], minlength=self.n_groups)
            sizes = np.bincount(self.group_of_row, minlength=self.n_groups)
            return np.concatenate([counts @ sums / (counts @ sizes) for counts in self._counts()])
        # Rows in their original order, repeated as often as their group was drawn.
        every_row = np.arange(len(self.group_of_row))
        values = (
            _evaluate(statistic, columns, np.repeat(every_row, often)) for some in self.weights() for often in some
        )
        return np.fromiter(values, np.float64, self.n_resamples)

    def interval(self, value: float, distribution: _Floats, level: float = 0.95) -> Interval:
        """The percentile interval of a statistic; see :func:`group_bootstrap` for where it is NaN."""
        if self.n_groups == 1 or bool(np.isnan(distribution).any()):
            return Interval(value, float("nan"), float("nan"))
        low, high = np.quantile(distribution, [(1 - level) / 2, (1 + level) / 2])
        return Interval(value, float(low), float(high))

    def difference(self, value: float, differences: _Floats, level: float = 0.95) -> PairedDifference:
        """Interval and p value of a difference; see :func:`paired_difference`."""
        interval = self.interval(value, differences, level)
        if np.isnan(interval.low):
            return PairedDifference(*interval, p_value=float("nan"))
        fewer = int(min((differences <= _ROUNDING).sum(), (differences >= -_ROUNDING).sum()))
        return PairedDifference(*interval, p_value=min(1.0, 2 * (1 + fewer) / (self.n_resamples + 1)))

    def _counts(self) -> Iterator[_Integers]:
        """How often each resample has each group, several resamples at a time, (resamples, n_groups)."""
        generator = np.random.default_rng(self.seed)
        at_once = max(1, _DRAWS_AT_ONCE // len(self.group_of_row))
        for start in range(0, self.n_resamples, at_once):
            resamples = min(at_once, self.n_resamples - start)
            drawn = generator.integers(self.n_groups, size=(resamples, self.n_groups))
            drawn += self.n_groups * np.arange(resamples)[:, None]
            yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def _columns(statistic: Statistic, arrays: Sequence[ArrayLike]) -> list[npt.NDArray[Any]]:
    """The columns as numpy arrays of one length, float64 for ``"mean"``."""
    columns = [np.asarray(a.detach().cpu() if isinstance(a, Tensor) else a) for a in arrays]
    if not columns or any(column.ndim == 0 or len(column) == 0 for column in columns):
        raise ValueError(
            f"Expected at least one column with at least one row but got shapes {[c.shape for c in columns]}; "
            "wrap a single column in a list where columns are expected"
        )
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"Expected columns of one length but got {[len(c) for c in columns]}; pass the same rows")
    if statistic == "mean":
        if len(columns) != 1 or columns[0].ndim != 1:
            raise ValueError(
                f"Expected a single column of shape (N,) for statistic 'mean' but got shapes "
                f"{[c.shape for c in columns]}; pass a function for anything else"
            )
        column = columns[0].astype(np.float64)
        if np.isnan(column).any():
            first = int(np.isnan(column).argmax())
            raise ValueError(
                f"Expected a column without NaN for statistic 'mean' but got one at index {first}; drop the row, or "
                "find out why its value is undefined"
            )
        return [column]
    if not callable(statistic):
        raise ValueError(f"Expected `statistic` to be a function or 'mean' but got {statistic!r}; pass a function")
    return columns


def _evaluate(statistic: Statistic, columns: list[npt.NDArray[Any]], rows: _Integers | None = None) -> float:
    chosen = columns if rows is None else [column[rows] for column in columns]
    return float(chosen[0].mean()) if isinstance(statistic, str) else float(statistic(*chosen))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"Expected `level` in (0, 1) but got {level}; 0.95 is usual")


def align(first_uids: Sequence[str], second_uids: Sequence[str], n_first: int, n_second: int) -> _Integers:
    """Rows of the second set in the order of the first."""
    for name, uids, n_rows in (("first_uids", first_uids, n_first), ("second_uids", second_uids, n_second)):
        if len(uids) != n_rows:
            raise ValueError(f"Expected `{name}` of length {n_rows}, one a row, but got {len(uids)}; pass every uid")
        check_unique_ids(name, uids)
    remedy = "compare both sets on the samples they share"
    check_same_ids(second_uids, first_uids, names=("second_uids", "first_uids"), remedy=remedy)
    row_of = {uid: row for row, uid in enumerate(second_uids)}
    return np.array([row_of[uid] for uid in first_uids], dtype=np.int64)
