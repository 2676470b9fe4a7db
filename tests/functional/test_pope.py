import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from lit_vlr.functional import YesNoScores, parse_yes_no, pope_scores

TEXT = {"yes": "Yes.", "no": "No, there is none.", "declined": "unanswerable"}
ROWS = st.lists(st.tuples(st.sampled_from(list(TEXT)), st.sampled_from(["yes", "no"])), min_size=1, max_size=12)


@given(ROWS)
def test_equals_scikit_learn_on_what_was_answered(rows):
    scores = pope_scores([TEXT[said] for said, _ in rows], [label for _, label in rows])
    assert scores.abstention_rate == pytest.approx(sum(said == "declined" for said, _ in rows) / len(rows))
    answered = [(said, label) for said, label in rows if said != "declined"]
    if not answered:
        assert all(math.isnan(value) for value in scores[:-1])
        return
    said, labels = zip(*answered, strict=True)
    of_yes = precision_recall_fscore_support(labels, said, labels=["yes"], zero_division=math.nan)
    precision, recall, f1 = (float(column[0]) for column in of_yes[:3])
    assert scores.accuracy == pytest.approx(accuracy_score(labels, said))
    assert scores.yes_ratio == pytest.approx(said.count("yes") / len(said))
    assert scores.precision == pytest.approx(precision, nan_ok=True)
    assert scores.recall == pytest.approx(recall, nan_ok=True)
    assert scores.f1 == pytest.approx(f1, nan_ok=True)


@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    values = [pope_scores([TEXT[said] for said, _ in r], [label for _, label in r]) for r in (rows, shuffled)]
    assert values[0] == pytest.approx(values[1], nan_ok=True)


def test_by_hand():
    """TP 2, FP 1, TN 3, FN 1, three declined: 7 answered of 10."""
    predictions = ["yes", "Yes, it is", "yes", "no", "no", "no", "No.", "", "maybe", "I'm sorry, but I can't"]
    labels = ["yes", "yes", "no", "no", "no", "no", "yes", "yes", "no", "yes"]
    scores = pope_scores(predictions, labels)
    assert scores == YesNoScores(5 / 7, 2 / 3, 2 / 3, 2 / 3, 3 / 7, 0.3)


def test_declining_is_neither_yes_nor_right():
    yes_to_all = pope_scores(["", "unanswerable", "maybe"], ["yes", "yes", "yes"])
    assert yes_to_all.abstention_rate == 1.0
    assert all(math.isnan(value) for value in yes_to_all[:-1])


def test_no_answer_is_yes():
    """No precision without a yes; the recall of what was there is 0."""
    scores = pope_scores(["no", "no"], ["yes", "no"])
    assert math.isnan(scores.precision)
    assert scores[:1] + scores[2:] == (0.5, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("Yes, there is a dog.", "yes"),
        ("YES!", "yes"),
        ("Yes, it does not hide.", "yes"),
        ("There is a dog in the image.", "yes"),
        ("There's a dog", "yes"),
        ("I think yes", "yes"),
        ("no", "no"),
        ("No.", "no"),
        ("No, but there is a cat.", "no"),
        ("There is no dog.", "no"),
        ("There isn't a dog", "no"),
        ("There are not any dogs", "no"),
        ("I cannot see a dog.", "no"),
        ("It is not there. Yes.", "no"),  # the first sentence
        ("Yes.\nNo.", "yes"),
        ("yes and no", None),
        ("yes or no", None),
        ("A dog.", None),
        ("Note the knots", None),  # no "no" as a word
        ("yesterday", None),
        ("unanswerable", None),
        ("maybe", None),
        ("", None),
        (" . ", None),
        ("I don't know", None),
        ("Not sure", None),
        ("I'm sorry, I can't help with that", None),
        ("...yes", None),  # the first sentence is empty
    ],
)
def test_parse_yes_no(text, expected):
    assert parse_yes_no(text) == expected


@given(st.text())
def test_any_text_is_yes_or_no_or_neither(text):
    assert parse_yes_no(text) in ("yes", "no", None)


@pytest.mark.parametrize(
    ("predictions", "labels", "error", "message"),
    [
        ([], [], ValueError, "`predictions` with at least one sample but got none; was the split empty"),
        (["yes"], [], ValueError, "`predictions` and `labels` of one length but got 1 and 0"),
        ("yes", ["yes"], TypeError, "`predictions` to be a sequence of strings but got 'yes'; wrap"),
        (["yes"], "yes", TypeError, "`labels` to be a sequence of strings but got 'yes'; wrap"),
        (["yes", 1], ["yes", "no"], TypeError, "`predictions` to be a string but got int"),
        (["yes"], [1], TypeError, "`labels` to be a string but got int"),
        (["yes"] * 2, ["yes", "maybe"], ValueError, "`labels` to be yes or no but got 'maybe' at index 1; check"),
    ],
)
def test_wrong_rows_are_refused(predictions, labels, error, message):
    with pytest.raises(error, match=message):
        pope_scores(predictions, labels)
