import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import edit_distance

from lit_vlr.functional import anls
from lit_vlr.functional.anls import levenshtein
from tests.oracles import answers as oracle

WORDS = st.text("abc", min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(WORDS, st.lists(WORDS, min_size=1, max_size=4), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_equals_the_definition(prediction, answers, threshold):
    value = anls(prediction, answers, threshold)
    assert value == pytest.approx(oracle.anls(prediction, answers, threshold), abs=1e-12)
    assert value == 0 or threshold <= value <= 1
    assert value == anls(prediction, answers[::-1], threshold)
    assert value == max(anls(prediction, answer, threshold) for answer in answers)


@given(WORDS, WORDS)
def test_one_reference_is_symmetric(one, other):
    assert anls(one, other) == anls(other, one)
    assert anls(one, one) == 1.0
    assert anls(one, [other, one]) == 1.0


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_levenshtein_is_a_metric(one, other, third):
    assert levenshtein(one, other) == oracle.levenshtein(one, other)
    assert levenshtein(one, other) <= levenshtein(one, third) + levenshtein(third, other)
    assert (levenshtein(one, other) == 0) == (one == other)


@settings(max_examples=50, deadline=None)
@given(st.text("abcd", min_size=1, max_size=12), st.text("abcd", min_size=1, max_size=12))
def test_levenshtein_equals_torchmetrics(one, other):
    """Texts of about one length: torchmetrics' beam is too narrow for others (549 characters against 11 give 532)."""
    assert levenshtein(one, other) == edit_distance([one], [other], reduction="sum").item()


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("ab", "ac", 0.5),  # one of two: exactly the threshold, which counts
        ("abc", "axy", 0.0),  # 1/3
        ("abcde", "abcxe", 0.8),
        ("kitten", "sitting", 4 / 7),
        ("  The  Cat\n", ["the cat"], 1.0),  # case and spaces
        ("a b", "ab", 2 / 3),  # spaces inside count
        ("x", "answer", 0.0),
        ("unanswerable", "answerable", 0.0),  # .83 alike, and declined
    ],
)
def test_by_hand(prediction, answers, expected):
    assert anls(prediction, answers) == pytest.approx(expected, abs=1e-12)


def test_padding_does_not_raise_the_score():
    assert anls("abx" + " " * 50, "aby") == anls("abx", "aby")


def test_a_runaway_generation_is_0_at_once():
    assert anls("la " * 100_000, "la") == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: anls(7, "7"), TypeError, "`prediction` to be a string but got int; decode"),
        (lambda: anls("7", 7), TypeError, "not iterable|`answers`"),
        (lambda: anls("7", ["7", 7]), TypeError, "`answers` to be a string but got int"),
        (lambda: anls("7", []), ValueError, "`answers` with at least one text but got none"),
        (lambda: anls("7", ["7", " "]), ValueError, "`answers` without blanks but got ' ' at index 1; .*silence"),
        (lambda: anls("7", "7", threshold=50), ValueError, r"`threshold` in \[0, 1\] but got 50; .*0\.5"),
        (lambda: anls("7", "7", threshold=float("nan")), ValueError, r"`threshold` in \[0, 1\] but got nan"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
