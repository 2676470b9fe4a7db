"""Predictions and references of the same questions, brought together by id and never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def pair_by_id(predictions: Iterable[tuple[str, P]], references: Iterable[tuple[str, R]]) -> list[tuple[str, P, R]]:
    """Match two lists of (id, value), which must hold exactly the same ids, each once.

    A prediction that is missing, or one too many, moves a mean without a word; here it is an error.

    Args:
        predictions: id and prediction, in any order.
        references: id and reference.

    Returns:
        Id, prediction and reference, in the order of the references.

    Raises:
        TypeError: if an id is not a string; 7 and "7" would be two questions.
        ValueError: for no references, an id that occurs twice, or ids that are missing or too many, with their number
            and five examples.

    Example:
        >>> pair_by_id([("q2", "red"), ("q1", "a dog")], [("q1", ["dog"]), ("q2", ["red", "crimson"])])
        [('q1', 'a dog', ['dog']), ('q2', 'red', ['red', 'crimson'])]
    """
    given, wanted = list(predictions), list(references)
    if not wanted:
        raise ValueError("Expected `references` with at least one sample but got none; was the split empty?")
    check_unique_ids("predictions", [uid for uid, _ in given])
    check_unique_ids("references", [uid for uid, _ in wanted])
    values = dict(given)
    check_same_ids(values.keys(), [uid for uid, _ in wanted])
    return [(uid, values[uid], reference) for uid, reference in wanted]


def check_unique_ids(name: str, ids: Iterable[object]) -> None:
    """Every id is a string and occurs once."""
    known = list(ids)
    for uid in known:
        if not isinstance(uid, str):
            raise TypeError(f"Expected the ids of `{name}` to be strings but got {uid!r}; convert with `str`")
    repeated = [str(uid) for uid, n in Counter(known).items() if n > 1]
    if repeated:
        raise ValueError(
            f"Expected each id of `{name}` once but got {_some(repeated)} more than once; keep one row a question"
        )


def check_same_ids(
    predicted: Collection[str],
    wanted: Collection[str],
    names: tuple[str, str] = ("predictions", "references"),
    remedy: str = "score the split that was predicted",
) -> None:
    """Every reference has its prediction, and no prediction is left over.

    Args:
        predicted: ids that are there.
        wanted: ids that have to be there.
        names: of the two arguments, for the message.
        remedy: appended to the message.
    """
    given, known = set(predicted), set(wanted)
    missing = [uid for uid in wanted if uid not in given]
    extra = [uid for uid in predicted if uid not in known]
    if missing or extra:
        raise ValueError(
            f"Expected `{names[0]}` for exactly the ids of `{names[1]}` but got {_some(missing)} missing and "
            f"{_some(extra)} too many; {remedy}"
        )


def _some(ids: list[str]) -> str:
    """Number of ids and up to five of them."""
    if not ids:
        return "0"
    return f"{len(ids)} ({', '.join(map(repr, ids[:5]))}{', …' if len(ids) > 5 else ''})"
