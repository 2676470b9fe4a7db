"""Decisions of a module that abstains, and losses of attacks on it: one sample at a time, plain loops, no tensors."""

import math


def decision(scores, correctness, threshold, given=None):
    """(answered, accuracy) of one sample."""
    best = given
    if best is None:
        best = 0
        for k in range(1, len(scores)):
            if scores[k] > scores[best]:
                best = k
    return threshold != math.inf and scores[best] >= threshold, correctness[best]


def reward(answered, accuracy, cost):
    if not answered:
        return 0.0
    return accuracy if accuracy > 0 else -cost


def best(scores, correctness, wrong):
    found, accuracy = -math.inf, 0.0
    for score, right in zip(scores, correctness, strict=True):
        if (right == 0) == wrong and score > found:
            found, accuracy = score, right
    return found, accuracy


def wrong_and_confident(scores, correctness, threshold):
    w, r = best(scores, correctness, True)[0], best(scores, correctness, False)[0]
    return min(w - r, w - threshold)


def force_abstention(scores, threshold):
    return min(threshold - score for score in scores)


def sigmoid(margin):
    if margin == math.inf:
        return 1.0
    if margin == -math.inf:
        return 0.0
    return 0.5 + margin / (2 * (1 + abs(margin)))


def either(scores, correctness, threshold, cost):
    """Minus the accuracy as far as the right answer is still given, plus the cost as far as a wrong one is."""
    w = best(scores, correctness, True)[0]
    r, accuracy = best(scores, correctness, False)
    kept = 0.0 if r == -math.inf else accuracy * (1 - sigmoid(max(w, threshold) - r))
    failed = 0.0 if w == -math.inf else cost * sigmoid(w - max(r, threshold))
    return failed - kept


def is_open(name, scores, correctness, threshold, cost, given=None):
    """Whether some choice among the candidates is worse for the model than what it does, as the objective counts."""
    answered, accuracy = decision(scores, correctness, threshold, given)
    has_wrong = any(a == 0 and s > -math.inf for s, a in zip(scores, correctness, strict=True))
    if name == "WrongAndConfident":
        return has_wrong and threshold < math.inf and not (answered and accuracy == 0)
    if name == "ForceAbstention":
        return answered and accuracy > 0 and threshold > -math.inf
    outcomes = []
    if threshold > -math.inf:
        outcomes.append(0.0)
    if has_wrong and threshold < math.inf:
        outcomes.append(-cost)
    return any(outcome < reward(answered, accuracy, cost) for outcome in outcomes)
