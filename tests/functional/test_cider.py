import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import cider, tokenize_caption
from tests.oracles import answers as oracle

PEOPLE = {
    "1": ["a red kite in the sky", "a kite flies above a red house"],
    "2": ["two dogs run on a beach", "dogs at the sea", "a beach"],
    "3": ["a man in a red shirt"],
}
CAPTIONS = st.lists(st.sampled_from(["a", "red", "dog", "runs", "sky"]), min_size=1, max_size=8)


@pytest.fixture
def scorer():
    pytest.importorskip("pycocoevalcap", reason="CIDEr needs the optional extra: pip install 'lit-vlr[caption]'")


@pytest.mark.usefixtures("scorer")
class TestScores:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(CAPTIONS, st.lists(CAPTIONS, min_size=1, max_size=3)), min_size=2, max_size=5))
    def test_equals_the_definition(self, rows):
        given_tokens = {str(i): tokens for i, (tokens, _) in enumerate(rows)}
        said = {str(i): captions for i, (_, captions) in enumerate(rows)}
        scores = cider(
            {uid: " ".join(tokens) for uid, tokens in given_tokens.items()},
            {uid: [" ".join(tokens) for tokens in captions] for uid, captions in said.items()},
        )
        expected = oracle.cider(given_tokens, said)
        assert scores.per_image == pytest.approx(expected, abs=1e-9)
        assert scores.mean == pytest.approx(sum(expected.values()) / len(expected), abs=1e-9)
        assert all(-1e-9 <= score <= 10 + 1e-9 for score in scores.per_image.values())

    def test_the_best_caption_is_the_only_reference(self):
        """Four n-gram lengths at cosine 1, no length penalty, times 10."""
        assert cider(dict.fromkeys("123", "a man in a red shirt"), PEOPLE).per_image["3"] == pytest.approx(10)

    def test_the_example_of_the_docstring(self):
        people = {"1": ["a red kite in the sky", "a kite"], "2": ["two dogs on a beach", "dogs"]}
        scores = cider({"1": "a red kite", "2": "unanswerable"}, people)
        assert scores.mean == pytest.approx(1.4093, abs=1e-4)
        assert scores.per_image == pytest.approx({"1": 2.8186, "2": 0.0}, abs=1e-4)

    def test_declining_scores_0_even_word_for_word(self):
        people = {"1": ["unknown", "a kite"], "2": ["two dogs"]}
        assert cider({"1": "unknown", "2": "two dogs"}, people).per_image["1"] == 0.0
        assert cider({"1": "unknown", "2": "two dogs"}, people, abstention_phrases=()).per_image["1"] > 0.0

    def test_case_and_punctuation_do_not_matter(self):
        plain = cider({"1": "a red kite", "2": "two dogs", "3": "a man"}, PEOPLE)
        marked = cider({"3": "A man!", "1": "A red, KITE.", "2": "two dogs"}, PEOPLE)
        assert marked.per_image == plain.per_image

    @pytest.mark.parametrize(
        ("predictions", "references", "error", "message"),
        [
            (
                {"1": "a kite"},
                {"1": ["a kite"]},
                ValueError,
                "`references` of at least two images but got 1; .*whole set",
            ),
            ({}, {}, ValueError, "`references` with at least one sample but got none"),
            ({"1": "a"}, PEOPLE, ValueError, r"2 \('2', '3'\) missing and 0 too many"),
            (dict.fromkeys("1234", "a"), PEOPLE, ValueError, r"0 missing and 1 \('4'\) too many"),
            ({"1": 5, "2": "a", "3": "b"}, PEOPLE, TypeError, "`predictions` to be a string but got int"),
            (dict.fromkeys("12", "a"), {"1": ["a"], "2": []}, ValueError, "`references` with at least one text"),
            (dict.fromkeys("12", "a"), {"1": ["a"], "2": [" "]}, ValueError, "`references` without blanks but got ' '"),
            ({1: "a", 2: "b"}, {1: ["a"], 2: ["b"]}, TypeError, "ids of `predictions` to be strings but got 1"),
        ],
    )
    def test_wrong_captions_are_refused(self, predictions, references, error, message):
        with pytest.raises(error, match=message):
            cider(predictions, references)


def test_a_missing_package_is_named(monkeypatch):
    for name in ("pycocoevalcap", "pycocoevalcap.cider", "pycocoevalcap.cider.cider"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"`pycocoevalcap` for CIDEr but it is not installed; .*lit-vlr\[caption\]"):
        cider(dict.fromkeys("123", "a"), PEOPLE)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's a dog; isn't it?", "it 's a dog is n't it"),
        ("They can't and cannot.", "they ca n't and can not"),
        ("black-and-white, at 5:30 p.m. in the U.S.", "black-and-white at 5:30 p.m. in the u.s."),
        ("1,000 kites & 50% off", "1,000 kites & 50 % off"),
        ("and/or o’clock -- “STOP” …", "and/or o'clock stop"),
        ("???", ""),
    ],
)
def test_tokens(text, tokens):
    """As the Java tokenizer of the original gives them."""
    assert tokenize_caption(text) == tokens.split()


@given(st.text())
def test_tokens_are_their_own_tokens(text):
    tokens = tokenize_caption(text)
    assert all(token == token.strip() != "" for token in tokens)
    assert tokenize_caption(text.upper().lower()) == tokenize_caption(text.upper())


def test_a_caption_is_a_string():
    with pytest.raises(TypeError, match="`text` to be a string but got list"):
        tokenize_caption(["a", "dog"])
