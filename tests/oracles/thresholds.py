"""Thresholds with guarantees by plain loops over every threshold; binomial probabilities from `math.comb`."""

import math


def binomial_cdf(k, n, p):
    return math.fsum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k + 1))


def binomial_upper_bound(errors, n, delta):
    """By bisection of the definition."""
    if errors == n:
        return 1.0
    low, high = errors / n, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(errors, n, middle) > delta else (low, middle)
    return high


def p_value(losses, r, binary):
    n, total = len(losses), math.fsum(losses)
    if r >= 1:
        return 0.0
    bentkus = binomial_cdf(min(n, math.ceil(total - 1e-7 * n)), n, r)
    if binary:
        return bentkus
    a = min(total / n, r)
    h1 = (a * math.log(a / r) if a > 0 else 0.0) + ((1 - a) * math.log((1 - a) / (1 - r)) if a < 1 else 0.0)
    return min(1.0, math.exp(-n * h1), math.e * bentkus)


def levels(confidence):
    return sorted(set(confidence), reverse=True)


def answered_losses(confidence, correctness, threshold):
    return [1 - a for c, a in zip(confidence, correctness, strict=True) if c >= threshold]


def learn_then_test(confidence, correctness, r, delta, starts=1):
    """The threshold, or None."""
    binary = all(a in (0, 1) for a in correctness)
    chosen = []
    for j in range(starts):
        first = 1 if starts == 1 else len(confidence) / 2**j
        best = None
        for threshold in levels(confidence):
            losses = answered_losses(confidence, correctness, threshold)
            if len(losses) < first:
                continue
            if p_value(losses, r, binary) <= delta / starts:
                best = threshold
            elif math.fsum(losses) > 1e-7 * len(losses):
                break
        chosen.append(best)
    found = [threshold for threshold in chosen if threshold is not None]
    return min(found) if found else None


def sgr(confidence, correctness, r, delta):
    """Threshold and bound, or None."""
    thresholds = levels(confidence)
    steps = 0
    while 2**steps < len(confidence):
        steps += 1
    steps = max(steps, 1)
    found, left, right = None, 0, len(thresholds)  # thresholds[left:right] are still open
    for _ in range(steps):
        if left == right:
            break
        middle = (left + right - 1) // 2
        losses = answered_losses(confidence, correctness, thresholds[middle])
        bound = binomial_upper_bound(sum(1 for x in losses if x > 0.5), len(losses), delta / steps)
        if bound <= r:
            found, left = (thresholds[middle], bound), middle + 1
        else:
            right = middle
    return found


def conformal(confidence, correctness, r):
    """The threshold, or None."""
    n = len(confidence)
    allowed = [
        t for t in levels(confidence) if (math.fsum(answered_losses(confidence, correctness, t)) + 1) / (n + 1) <= r
    ]
    return min(allowed) if allowed else None
