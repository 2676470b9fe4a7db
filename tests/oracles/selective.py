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
