import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lit_vlr.functional import is_abstention, relaxed_accuracy

TENTHS = st.integers(-10_000, 10_000)


@given(TENTHS, TENTHS, st.integers(0, 20))
def test_equals_the_definition_in_whole_numbers(given_tenths, wanted_tenths, percent):
    """|p - a| <= t |a| in integers, where nothing is rounded."""
    right = 100 * abs(given_tenths - wanted_tenths) <= percent * abs(wanted_tenths)
    texts = [f"{'-' if n < 0 else ''}{abs(n) // 10}.{abs(n) % 10}" for n in (given_tenths, wanted_tenths)]
    assert relaxed_accuracy(*texts, tolerance=percent / 100) == right


@given(st.text(min_size=1))
def test_every_answer_matches_itself(text):
    assume(text.strip() and not is_abstention(text))
    assert relaxed_accuracy(text, text) == 1.0
    assert relaxed_accuracy(text, ["something else", text]) == 1.0


@given(st.text(), st.text(min_size=1))
def test_range(prediction, answer):
    assume(answer.strip())
    assert relaxed_accuracy(prediction, answer) in (0.0, 1.0)


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("95", "100", 1),
        ("105", "100", 1),
        ("94.99", "100", 0),
        ("100", "95", 0),  # relative to the reference: 5/95 is more than 5%
        ("1.05", "1", 1),  # exactly 5%, and a little more in binary
        ("-95", "-100", 1),
        ("95", "-100", 0),
        ("5%", "0.05", 1),
        ("5 %", "5.2%", 1),
        ("5", "5%", 0),  # a percentage is a fraction
        ("0", "0", 1),
        ("0.0", "0", 1),
        ("0%", "0", 1),
        ("0.0001", "0", 0),
        ("1e3", "1000", 1),
        (".5", "0.5", 1),
        ("7.", "7", 1),
        ("1,000", "1000", 0),  # a text
        ("1,000", "1,000", 1),
        ("$5", "5", 0),
        ("five", "5", 0),
        (" Dark Blue", "dark blue ", 1),
        ("dark  blue", "dark blue", 0),
        ("nan", "nan", 1),
        ("nan", "5", 0),
        ("inf", "5", 0),
        ("1e999", "5", 0),  # not finite
        ("1e999", "1e999", 1),  # as a text
        ("1_0", "10", 0),
        ("٥", "5", 0),
        ("1e308", "-1e308", 0),
    ],
)
def test_by_hand(prediction, answer, expected):
    assert relaxed_accuracy(prediction, answer) == expected


def test_years_are_numbers_unless_told_otherwise():
    assert relaxed_accuracy("1990", "2020") == 1.0
    assert relaxed_accuracy("1990", "2020", tolerance=0) == 0.0
    assert relaxed_accuracy("2020", "2020", tolerance=0) == 1.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: relaxed_accuracy(5.0, "5"), TypeError, "`prediction` to be a string but got float"),
        (lambda: relaxed_accuracy("5", [5]), TypeError, "`answers` to be a string but got int"),
        (lambda: relaxed_accuracy("5", []), ValueError, "`answers` with at least one text"),
        (lambda: relaxed_accuracy("5", ""), ValueError, "`answers` without blanks but got '' at index 0"),
        (lambda: relaxed_accuracy("5", "5", tolerance=5), ValueError, r"`tolerance` in \[0, 1\] but got 5; .*0\.05"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
