"""Group bootstrap by collecting the rows of one drawn group after the other."""

import numpy as np


def distribution(statistic, columns, groups, n_resamples, seed):
    """The statistic on every resample; groups are numbered in sorted order."""
    generator = np.random.default_rng(seed)
    names = sorted(set(groups))
    values = []
    for _ in range(n_resamples):
        rows = []
        for drawn in generator.integers(len(names), size=len(names)):
            rows += [row for row, group in enumerate(groups) if group == names[drawn]]
        values.append(statistic(*([column[row] for row in rows] for column in columns)))
    return values
