from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lit_vlr.functional import exact_match, is_abstention, normalize_vqa_answer, option_letter
from lit_vlr.functional.exact_match import ExactMatchNormalization

TEXTS = [name for name in get_args(ExactMatchNormalization) if name != "letter"]


@pytest.mark.parametrize("normalization", TEXTS)
@given(st.text(min_size=1), st.text(min_size=1))
def test_identity_symmetry_and_range(normalization, one, other):
    assume(one.strip() and other.strip() and not is_abstention(one) and not is_abstention(other))
    assert exact_match(one, one, normalization) == 1.0
    assert exact_match(one, [other, one], normalization) == 1.0
    assert exact_match(one, other, normalization) == exact_match(other, one, normalization)
    assert exact_match(one, other, normalization) in (0.0, 1.0)


@pytest.mark.parametrize(
    ("prediction", "answer", "right"),
    [
        ("dog", "dog", {"none", "lower", "gqa", "vqa", "evalai"}),
        (" Dog", "dog", {"lower", "gqa", "vqa", "evalai"}),
        ("Dog.", "dog", {"gqa", "vqa", "evalai"}),
        ("A dog.", "dog", {"vqa", "evalai"}),
        ("man's", "man 's", {"evalai"}),
        ("two", "2", {"vqa", "evalai"}),
        ("cat", "dog", set()),
    ],
)
def test_what_each_normalisation_lets_pass(prediction, answer, right):
    assert {name for name in TEXTS if exact_match(prediction, answer, name)} == right


@given(st.text(" abAB.,'?two12", min_size=1), st.text(" abAB.,'?two12", min_size=1), st.sampled_from(["vqa", "evalai"]))
def test_vqa_normalisations_are_those_of_the_vqa_metric(one, other, name):
    assume(one.strip() and other.strip() and not is_abstention(one))
    dialect = {"vqa": "no_skip", "evalai": "evalai"}[name]
    expected = normalize_vqa_answer(one, dialect) == normalize_vqa_answer(other, dialect)
    assert exact_match(one, other, name) == expected


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"),
        (" b\n", "B"),
        ("C.", "C"),
        ("D)", "D"),
        ("E: a dog", "E"),
        ("(B)", "B"),
        ("(B) a dog", "B"),
        ("B. The answer is C.", "B"),
        ("The answer is A.", "A"),
        ("The answer is (A).", "A"),
        ("the correct answer is: D", "D"),
        ("Answer: B", None),  # capital word at the beginning: no rule reads it
        ("The answer: B", "B"),
        ("The answer is Africa", None),
        ("The answer is A dog", None),
        ("The answer is A. No, the answer is B.", None),
        ("The answer is B because it is red", "B"),
        ("The answer is B and not C.", "B"),
        ("The answer: C\nThe picture shows a dog", "C"),
        ("The answer is A\nThe picture shows a dog", "A"),
        ("B\nThe picture shows a dog", "B"),
        ("A \r\nThe picture shows a dog", "A"),
        ("The answer is B or C", None),  # more than one
        ("The answer is (B) or (C).", None),
        ("The answer is B/C", None),
        ("The answer is B or A.", None),
        ("The answer is B and I am sure.", "B"),
        ("The answer is I think B", None),
        ("The answer is X-ray", None),
        ("The answer is B's colour", None),
        ("B dogs", None),
        ("A dog", None),
        ("Africa", None),
        ("dog", None),
        ("I see", None),
        ("AB", None),
        ("é", None),
        ("7", None),
        ("", None),
    ],
)
def test_option_letter(text, letter):
    assert option_letter(text) == letter


@given(st.sampled_from("ABCDEFGH"), st.sampled_from(["{}", "({})", "{}.", "{}) x", "The answer is {}.", "({}) A dog"]))
def test_a_letter_is_found_in_every_spelling(letter, spelling):
    text = spelling.format(letter)
    assert option_letter(text) == letter
    assert [o for o in "ABCDEFGH" if exact_match(text, o, "letter")] == [letter]


def test_a_refusal_chooses_no_option():
    assert exact_match("I, sorry, can't", "I", "letter") == 0.0
    assert exact_match("I can't tell.", "I", "letter") == 0.0
    assert exact_match("N/A", "N", "letter") == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: exact_match(1, "1"), TypeError, "`prediction` to be a string but got int"),
        (lambda: exact_match("a", [None]), TypeError, "`answers` to be a string but got NoneType"),
        (lambda: exact_match("a", []), ValueError, "`answers` with at least one text"),
        (lambda: exact_match("a", "a", "stem"), ValueError, "`normalization` to be one of .*'letter'.* but got 'stem'"),
        (lambda: exact_match("A", ["A", "dog"], "letter"), ValueError, "`answers` to be option letters but got 'dog'"),
        (lambda: option_letter(1), TypeError, "`text` to be a string but got int"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
