"""Checks of generated and reference texts, shared by the scorers of answers."""

from __future__ import annotations

from collections.abc import Sequence


def check_text(name: str, value: object) -> None:
    """Refuse what is no string; a list of token ids has a length and would be compared without a word."""
    if not isinstance(value, str):
        raise TypeError(f"Expected `{name}` to be a string but got {type(value).__name__}; decode the tokens first")


def check_texts(name: str, values: Sequence[str]) -> Sequence[str]:
    """A sequence of at least one string; one bare string is refused, since it is a sequence of letters."""
    if isinstance(values, str):
        raise TypeError(f"Expected `{name}` to be a sequence of strings but got the string {values!r}; wrap it")
    for value in values:
        check_text(name, value)
    if len(values) == 0:
        raise ValueError(f"Expected `{name}` with at least one text but got none; was the split empty?")
    return values


def check_references(name: str, answers: str | Sequence[str]) -> Sequence[str]:
    """One reference answer, or several of which any will do; none of them blank."""
    said = check_texts(name, [answers] if isinstance(answers, str) else answers)
    for index, answer in enumerate(said):
        if not answer.strip():
            raise ValueError(
                f"Expected `{name}` without blanks but got {answer!r} at index {index}; a blank reference would make "
                "silence right: drop it, or score the question as unanswerable"
            )
    return said


def check_rows(name: str, values: Sequence[object], other_name: str, others: Sequence[object]) -> None:
    """Refuse two columns of different lengths, or of none."""
    for column, given in ((name, values), (other_name, others)):
        if isinstance(given, str):
            raise TypeError(f"Expected `{column}` to be a sequence of strings but got {given!r}; wrap it")
    if len(values) != len(others):
        raise ValueError(
            f"Expected `{name}` and `{other_name}` of one length but got {len(values)} and {len(others)}; pass what "
            "belongs to each prediction as one entry"
        )
    if len(values) == 0:
        raise ValueError(f"Expected `{name}` with at least one sample but got none; was the split empty?")
