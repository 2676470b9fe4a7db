"""A study's figures by plain loops over questions, thresholds and resampled pictures."""

import math


def decided(confidence, accuracy, threshold, cost):
    """Coverage, wrong among all questions, and effective reliability at a threshold."""
    n = len(confidence)
    answered = [a for c, a in zip(confidence, accuracy, strict=True) if c >= threshold]
    rewards = [a if a > 0 else -cost for a in answered]
    return len(answered) / n, sum(1 - a for a in answered) / n, sum(rewards) / n


def area(confidence, accuracy):
    """AURC: the mean of the prefix risks, where the rows of a tied block enter with the block's mean loss."""
    losses = []
    for level in sorted(set(confidence), reverse=True):
        block = [1 - a for c, a in zip(confidence, accuracy, strict=True) if c == level]
        losses += [sum(block) / len(block)] * len(block)
    return sum(sum(losses[: k + 1]) / (k + 1) for k in range(len(losses))) / len(losses)


def figures(seeds, max_risk, cost):
    """Figures over seeds; each is (confidence, accuracy, threshold)."""
    coverage, wrong, reliability, best_coverage, best_reliability, areas, accuracies = ([] for _ in range(7))
    for confidence, accuracy, threshold in seeds:
        c, w, phi = decided(confidence, accuracy, threshold, cost)
        coverage.append(c)
        wrong.append(w)
        reliability.append(phi)
        cuts = [decided(confidence, accuracy, t, cost) for t in sorted(set(confidence))]
        best_coverage.append(max([c for c, w, _ in cuts if w / c <= max_risk + 1e-9], default=0.0))
        best_reliability.append(max(0.0, *(phi for _, _, phi in cuts)))
        areas.append(area(confidence, accuracy))
        accuracies.append(sum(accuracy) / len(accuracy))

    def mean(values):
        return sum(values) / len(values)

    risk = mean(wrong) / mean(coverage) if any(coverage) else math.nan
    return {
        "accuracy": mean(accuracies),
        "coverage": mean(coverage),
        "abstention_rate": 1 - mean(coverage),
        "risk": risk,
        "violation": risk - max_risk,
        "aurc": mean(areas),
        f"effective_reliability@{cost:g}": mean(reliability),
        f"coverage_at_risk@{max_risk:g}": mean(best_coverage),
        "oracle_coverage_gap": mean(best_coverage) - mean(coverage),
        f"oracle_reliability_gap@{cost:g}": mean(best_reliability) - mean(reliability),
    }


def resample(seeds, images, drawn):
    """The same with the rows of every drawn picture, as often as it was drawn."""
    chosen = [i for image in drawn for i, own in enumerate(images) if own == image]
    return [([c[i] for i in chosen], [a[i] for i in chosen], t) for c, a, t in seeds]
