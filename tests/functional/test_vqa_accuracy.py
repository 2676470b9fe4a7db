import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import is_abstention, normalize_vqa_answer, vqa_accuracy
from lit_vlr.functional._vqa_normalization import normalize, strip_punctuation
from tests.oracles import vqa as oracle

DATA = Path(__file__).parents[1] / "data" / "vqa_accuracy_official.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
VIZWIZ = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "vizwiz_val" / "annotations.json"
golden = pytest.mark.parametrize("case", CASES, ids=[repr(case["prediction"]) for case in CASES])

WORDS = st.sampled_from(["red", "blue", "two", "2", "a red"])


@golden
def test_official_accuracy_golden(case):
    assert 100 * vqa_accuracy(case["prediction"], case["answers"], dialect="official") == case["accuracy"]


@golden
@pytest.mark.parametrize("dialect", ["official", "no_skip", "pre2021"])
def test_official_normalization_golden(case, dialect):
    assert normalize_vqa_answer(case["prediction"], dialect) == case["normalized"]


@settings(max_examples=100, deadline=None)
@given(WORDS, st.lists(st.tuples(WORDS, st.sampled_from(["yes", "maybe"])), min_size=2, max_size=10))
def test_leave_one_out_equals_oracle(prediction, said):
    answers, confidences = [answer for answer, _ in said], [sure for _, sure in said]
    given_text = normalize_vqa_answer(prediction)
    texts = [normalize_vqa_answer(answer) for answer in answers]

    by_index = oracle.accuracy(given_text, list(zip(texts, range(len(texts)), strict=True)))
    assert vqa_accuracy(prediction, answers) == pytest.approx(by_index, abs=1e-12)
    by_text = oracle.accuracy(given_text, [(text,) for text in texts])
    assert vqa_accuracy(prediction, answers, leave_one_out="value") == pytest.approx(by_text, abs=1e-12)
    by_record = oracle.accuracy(given_text, list(zip(texts, confidences, strict=True)))
    value = vqa_accuracy(prediction, answers, leave_one_out="value", answer_confidences=confidences)
    assert value == pytest.approx(by_record, abs=1e-12)


@pytest.mark.parametrize(("matches", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_ten_annotators(matches, expected):
    assert vqa_accuracy("red", ["red"] * matches + ["blue"] * (10 - matches)) == expected


def test_duplicates_vanish_together_by_value():
    """Four say red: leaving one out takes all four, so only the six others score (1 each): 6/10."""
    answers = ["red"] * 4 + ["blue"] * 6
    assert vqa_accuracy("red", answers, leave_one_out="value") == 0.6
    assert vqa_accuracy("red", ["red"] * 10, leave_one_out="value") == 0.0
    # Differing confidences tell two of the four apart: the other two still count for them, 2/3 each.
    confidences = ["yes"] * 2 + ["no"] * 2 + ["yes"] * 6
    value = vqa_accuracy("red", answers, leave_one_out="value", answer_confidences=confidences)
    assert value == pytest.approx((4 * 2 / 3 + 6) / 10)


@pytest.mark.parametrize(
    ("dialect", "expected"), [("official", 0.0), ("no_skip", 1.0), ("evalai", 1.0), ("pre2021", 0.0)]
)
def test_unanimous_answers_tell_the_dialects_apart(dialect, expected):
    """`official` compares "The dog." with "the dog" as they are; `pre2021` only strips the prediction, to "dog"."""
    assert vqa_accuracy("The dog.", ["the dog"] * 10, dialect) == expected


def test_pre2021_leaves_words_of_the_answers_alone():
    answers = ["the dog!"] * 5 + ["dog"] * 2 + ["cat"] * 3
    assert vqa_accuracy("the dog", answers, "pre2021") == 0.6  # two plain "dog"; "the dog" keeps its article
    assert vqa_accuracy("the dog", answers, "no_skip") == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("man's hat", "man 's hat"),
        ("Yes, it is?", "yes it is"),
        ("1,000", "1000"),
        ("t-shirt", "t shirt"),
        ("10 a.m.", "10 am"),
    ],
)
def test_evalai_normalization(text, expected):
    assert normalize_vqa_answer(text, "evalai") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dont", "don't"),  # the apostrophe missing
        ("couldn'tve", "couldn't've"),  # one of two missing
        ("couldntve", "couldntve"),  # both missing is not recognised
        ("somebody'd", "somebodyd"),  # the original's mistake
        ("Im", "im"),  # capital I in the original's table never matches a lowercased word
        ("lets", "lets"),
        ("none of ten", "0 of 10"),
        ("The", ""),
        ("a.b.1.5", "ab.1.5"),
        ("." * 40 + "x", "." * 8 + "x"),  # at most 32 periods
        ("3;4", "3 4"),
        ("3; 4;5", "3 45"),  # touching a space once deletes the mark everywhere
        ("1,0 a-b", "10 ab"),  # a comma number deletes every mark
    ],
)
def test_normalization_by_hand(text, expected):
    assert normalize_vqa_answer(text) == expected


def test_an_empty_prediction_matches_nothing_but_empty_answers():
    assert vqa_accuracy("", ["red"] * 9 + ["blue"]) == 0.0


@pytest.fixture(scope="module")
def vizwiz():
    if not VIZWIZ.exists():
        pytest.skip("VizWiz validation annotations are not beside this checkout (../shared/data/vizwiz_val)")
    return json.loads(VIZWIZ.read_text(encoding="utf-8"))["annotations"]


@pytest.mark.parametrize(("leave_one_out", "expected"), [("index", 94.11), ("value", 67.06)])
def test_vizwiz_majority_answer(vizwiz, leave_one_out, expected):
    """As the official script scores the majority answer, and as it would with answer ids."""
    assert round(100 * majority_accuracy(vizwiz, "official", leave_one_out), 2) == expected


@pytest.mark.parametrize("dialect", ["no_skip", "official", "evalai", "pre2021"])
def test_vizwiz_is_scored_in_three_seconds(vizwiz, dialect):
    """Of processor time, nothing cached, so that a busy machine does not fail it."""
    normalize.cache_clear()
    strip_punctuation.cache_clear()
    started = time.process_time()
    majority_accuracy(vizwiz, dialect, "index")
    assert time.process_time() - started <= 3


def majority_accuracy(annotations, dialect, leave_one_out):
    total = 0.0
    for annotation in annotations:
        answers = [record["answer"] for record in annotation["answers"]]
        confidences = [record["answer_confidence"] for record in annotation["answers"]]
        majority = Counter(answers).most_common(1)[0][0]
        total += vqa_accuracy(majority, answers, dialect, leave_one_out, confidences)
    return total / len(annotations)


def test_vizwiz_wordings_of_declining(vizwiz):
    """The wordings of declining that real people used, and the answers that only look like one."""
    said = Counter(record["answer"] for annotation in vizwiz for record in annotation["answers"])
    declining = {text for text in said if is_abstention(text)}
    assert {"unanswerable", "i dont know", "unknown", "unsure", "cant tell", "not sure", "maybe"} <= declining
    assert not {"no", "yes", "nothing", "blurry", "0", "none", "grey", "unknown dialog box"} & declining


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: vqa_accuracy(3, ["a", "b"]), TypeError, r"`prediction` to be a string but got int; decode"),
        (lambda: vqa_accuracy("red", "red"), TypeError, r"`answers` to be a sequence of strings but got the string 'r"),
        (lambda: vqa_accuracy("red", ["red", None]), TypeError, r"`answers` to be a string but got NoneType"),
        (lambda: vqa_accuracy("red", []), ValueError, r"`answers` of at least two annotators but got 0; .*exact match"),
        (lambda: vqa_accuracy("red", ["red"]), ValueError, r"`answers` of at least two annotators but got 1"),
        (lambda: vqa_accuracy("red", ["red"] * 2, "vqa"), ValueError, r"`dialect` to be one of .* but got 'vqa'"),
        (
            lambda: vqa_accuracy("red", ["red"] * 2, leave_one_out="id"),
            ValueError,
            r"`leave_one_out` to be one of \['index', 'value'\] but got 'id'",
        ),
        (
            lambda: vqa_accuracy("red", ["red"] * 2, answer_confidences=["yes"]),
            ValueError,
            r"`answer_confidences` of the length of `answers`, 2, but got 1",
        ),
        (lambda: normalize_vqa_answer(None), TypeError, r"`text` to be a string but got NoneType"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
