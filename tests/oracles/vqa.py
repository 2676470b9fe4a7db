"""Leave-one-out VQA accuracy over annotator records, as the formula is written."""


def accuracy(prediction, records):
    """Mean over records of min(1, matches among the *unequal* records / 3).

    A record is a tuple that starts with the normalised answer. With an index in it no two are equal; without one,
    equal records are left out together, as the official script does.
    """
    scores = []
    for left_out in records:
        others = [record for record in records if record != left_out]
        matching = [record for record in others if record[0] == prediction]
        scores.append(min(1.0, len(matching) / 3))
    return sum(scores) / len(scores)
