"""Confidence scores from full-vocabulary scores, in plain loops over Python floats."""

import math


def softmax(scores):
    top = max(scores)
    weights = [math.exp(s - top) for s in scores]
    total = sum(weights)
    return [w / total for w in weights]


def answer_steps(scores, tokens, end):
    """(probabilities, chosen token) of each step of one answer, up to and with the end token."""
    steps = []
    for step_scores, token in zip(scores, tokens, strict=True):
        steps.append((softmax(step_scores), token))
        if token == end:
            break
    return steps


def sequence_probability(steps):
    return math.prod(p[token] for p, token in steps)


def normalized_probability(steps):
    return sequence_probability(steps) ** (1 / len(steps))


def min_token_probability(steps):
    return min(p[token] for p, token in steps)


def first_token_margin(steps):
    best, second = sorted(steps[0][0], reverse=True)[:2]
    return best - second


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def mean_entropy(steps):
    return -sum(entropy(p) for p, _ in steps) / len(steps)


def first_token_entropy(steps):
    return -entropy(steps[0][0])


def draw(p, uniform):
    """The token whose interval of the cumulative distribution holds the draw."""
    reached = 0.0
    for token, probability in enumerate(p):
        reached += probability
        if uniform < reached:
            return token
    raise AssertionError("the draw is in [0, 1)")


def answer_set_probability(answer, greedy, sampled, normalize):
    """``greedy`` is (tokens, probability); ``sampled`` are (text, tokens, probability)."""
    same = {greedy[0]: greedy[1]}
    for text, tokens, probability in sampled:
        if normalize(text) == normalize(answer):
            same[tokens] = probability
    return sum(same.values())


def share(answer, others, normalize):
    return sum(normalize(other) == normalize(answer) for other in others) / len(others)
