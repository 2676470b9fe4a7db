"""Losses with an abstaining class, by plain loops over one row."""

import math


def softmax(logits):
    terms = [math.exp(z) for z in logits]
    return [term / sum(terms) for term in terms]


def selector(logits, accuracy):
    total = 0.0
    for z, t in zip(logits, (accuracy, 1 - accuracy), strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= t * math.log(p) + (1 - t) * math.log(1 - p)
    return total


def deep_gamblers(logits, label, payoff, abstain):
    p = softmax(logits)
    return -math.log(p[label] + p[abstain] / payoff)


def self_adaptive_target(previous, logits, label, momentum, abstain):
    among = softmax([z for i, z in enumerate(logits) if i != abstain])
    place = label - (label > abstain)
    return momentum * previous + (1 - momentum) * among[place]


def self_adaptive(logits, label, target, abstain):
    p = softmax(logits)
    return -target * math.log(p[label]) - (1 - target) * math.log(p[abstain])
