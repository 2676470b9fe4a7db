"""Selective metrics by brute force: every order that the confidences allow, plain loops, no tensors.

The package interpolates cumulative losses inside tied blocks; here ties are resolved in every possible way and the
results averaged, which is what the interpolation claims to be.
"""

import itertools
import math


def orders(confidence):
    """Every order of the rows, most confident first, with equal confidences in all permutations."""
    levels = sorted(set(confidence), reverse=True)
    blocks = [[i for i, c in enumerate(confidence) if c == level] for level in levels]
    for choice in itertools.product(*(itertools.permutations(block) for block in blocks)):
        yield [i for block in choice for i in block]


def prefix_risks(order, correctness):
    risks, total = [], 0.0
    for k, i in enumerate(order, start=1):
        total += 1 - correctness[i]
        risks.append(total / k)
    return risks


def area(risks, convention):
    n = len(risks)
    if convention == "mean":
        return sum(risks) / n
    return sum((risks[k] + risks[k + 1]) / 2 for k in range(n - 1)) / n


def average(values):
    values = list(values)
    return sum(values) / len(values)


def cuts(confidence, correctness):
    """(coverage, risk, threshold) at every threshold, coverage ascending."""
    points = []
    for threshold in sorted(set(confidence), reverse=True):
        answered = [a for c, a in zip(confidence, correctness, strict=True) if c >= threshold]
        points.append((len(answered) / len(confidence), average(1 - a for a in answered), threshold))
    return points


def aurc(confidence, correctness, convention):
    if convention == "geifman":
        points = cuts(confidence, correctness)
        points = [(0.0, points[0][1], None), *points]
        pairs = itertools.pairwise(points)
        return sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in pairs)
    return average(area(prefix_risks(order, correctness), convention) for order in orders(confidence))


def best_aurc(correctness, convention):
    """The smallest area over *all* orders of the rows."""
    everything = itertools.permutations(range(len(correctness)))
    return min(area(prefix_risks(order, correctness), convention) for order in everything)


def augrc(confidence, correctness):
    n = len(confidence)

    def generalised(order):
        joint = [0.0] + [k * r / n for k, r in enumerate(prefix_risks(order, correctness), start=1)]
        return sum((left + right) / 2 for left, right in itertools.pairwise(joint)) / n

    return average(generalised(order) for order in orders(confidence))


def coverage_at_risk(confidence, correctness, max_risk):
    return max((c for c, r, _ in cuts(confidence, correctness) if r <= max_risk + 1e-9), default=0.0)


def risk_at_coverage(confidence, correctness, coverage):
    return next(r for c, r, _ in cuts(confidence, correctness) if c >= coverage - 1e-9)


def effective_reliability(confidence, correctness, cost, threshold):
    total = 0.0
    for c, a in zip(confidence, correctness, strict=True):
        if threshold == math.inf or c < threshold:
            continue
        total += a if a > 0 else -cost
    return total / len(confidence)


def best_reliability(confidence, correctness, cost):
    candidates = [-math.inf, math.inf, *(c for c in confidence if c < math.inf)]
    rewards = [effective_reliability(confidence, correctness, cost, t) for t in candidates]
    # Rows of confidence +inf can be answered alone, by a threshold above all other confidences.
    certain = [a if a > 0 else -cost for c, a in zip(confidence, correctness, strict=True) if c == math.inf]
    return max([*rewards, sum(certain) / len(confidence)])


def prediction_rejection_ratio(confidence, correctness):
    achieved = 1 - aurc(confidence, correctness, "mean")
    oracle = 1 - best_aurc(correctness, "mean")
    random = average(
        1 - area(prefix_risks(p, correctness), "mean") for p in itertools.permutations(range(len(correctness)))
    )
    return (achieved - random) / (oracle - random)


def best_augrc(correctness):
    """The smallest generalised area over *all* orders: confidences that rank the rows in every possible way."""
    ranks = itertools.permutations(range(len(correctness)))
    return min(augrc(order, correctness) for order in ranks)


def auroc(confidence, correctness):
    """Pair by pair, a row with itself included: right with weight a, wrong with weight 1 - a."""
    won = pairs = 0.0
    for s, a in zip(confidence, correctness, strict=True):
        for t, b in zip(confidence, correctness, strict=True):
            pairs += a * (1 - b)
            won += a * (1 - b) * (1.0 if s > t else 0.5 if s == t else 0.0)
    return won / pairs if pairs else math.nan


def expected_calibration_error(confidence, correctness, n_bins):
    bins = [[] for _ in range(n_bins)]
    for s, a in zip(confidence, correctness, strict=True):
        above = [m for m in range(n_bins) if s >= m / n_bins]
        bins[above[-1]].append((s, a))
    error = 0.0
    for rows in filter(None, bins):
        error += len(rows) / len(confidence) * abs(average(s for s, _ in rows) - average(a for _, a in rows))
    return error


def adaptive_calibration_error(confidence, correctness, n_bins):
    """Every row n_bins times over, so that the bins come out even; tied rows share their mean accuracy."""
    blocks = {}
    for s, a in zip(confidence, correctness, strict=True):
        blocks.setdefault(s, []).append(a)
    rows = [(s, average(blocks[s])) for s in sorted(confidence, reverse=True) for _ in range(n_bins)]
    n = len(confidence)
    chunks = [rows[m * n : (m + 1) * n] for m in range(n_bins)]
    return average(abs(average(s for s, _ in chunk) - average(a for _, a in chunk)) for chunk in chunks)


def brier_score(confidence, correctness):
    return average((s - a) ** 2 for s, a in zip(confidence, correctness, strict=True))


def given_last(confidence, correctness, abstained):
    """Columns in which declined rows are wrong answers below all confidences: what areas take them for."""
    levels = sorted(set(confidence))
    ranks = [-1 if d else levels.index(s) for s, d in zip(confidence, abstained, strict=True)]
    return ranks, [0.0 if d else a for a, d in zip(correctness, abstained, strict=True)]


def declined_cuts(confidence, correctness, abstained):
    """(coverage, risk, threshold) where declined rows are never answered but counted."""
    kept = [(s, a) for s, a, d in zip(confidence, correctness, abstained, strict=True) if not d]
    share = len(kept) / len(confidence)
    return [(c * share, r, t) for c, r, t in cuts([s for s, _ in kept], [a for _, a in kept])]
