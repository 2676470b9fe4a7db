"""Scores of answers, boxes and captions as their definitions are written, with plain loops."""

import functools
import math
from collections import Counter


def levenshtein(one, other):
    """The textbook recursion, from the ends of both texts."""

    @functools.cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        if one[i - 1] == other[j - 1]:
            return distance(i - 1, j - 1)
        return 1 + min(distance(i - 1, j), distance(i, j - 1), distance(i - 1, j - 1))

    return distance(len(one), len(other))


def anls(prediction, answers, threshold):
    similarities = [1 - levenshtein(prediction, a) / max(len(prediction), len(a)) for a in answers]
    return max(s if s >= threshold - 1e-12 else 0.0 for s in similarities)


def cells(box):
    """The unit squares that a box of whole coordinates covers."""
    x1, y1, x2, y2 = box
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def iou(box, target):
    """Counted square by square."""
    return len(cells(box) & cells(target)) / len(cells(box) | cells(target))


def cider(predictions, references):
    """CIDEr-D of each image; texts are lists of tokens. The length that is penalised is the number of pairs."""
    n_images = len(references)
    images_with = Counter()
    for captions in references.values():
        images_with.update({gram for caption in captions for n in range(1, 5) for gram in grams(caption, n)})

    def weights(tokens, n):
        return {
            gram: count * (math.log(n_images) - math.log(max(1, images_with[gram])))
            for gram, count in Counter(grams(tokens, n)).items()
        }

    def similarity(given, said, n):
        a, b = weights(given, n), weights(said, n)
        norms = math.sqrt(sum(w * w for w in a.values())) * math.sqrt(sum(w * w for w in b.values()))
        if norms == 0:
            return 0.0
        shared = sum(min(w, b[gram]) * b[gram] for gram, w in a.items() if gram in b)
        gap = len(grams(given, 2)) - len(grams(said, 2))
        return shared / norms * math.exp(-(gap**2) / (2 * 6.0**2))

    return {
        uid: 10
        * sum(similarity(predictions[uid], said, n) for said in captions for n in range(1, 5))
        / 4
        / len(captions)
        for uid, captions in references.items()
    }


def grams(tokens, n):
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
