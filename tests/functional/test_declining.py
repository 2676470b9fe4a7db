import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_vlr.functional import ABSTENTION_PHRASES, anls, exact_match, is_abstention, parse_yes_no, relaxed_accuracy

DECLINING = [
    *("", "   ", "\n\t", ".", "?!", "“”", "…", "\u200b"),
    *("unanswerable", "Unanswerable.", "UNANSWERABLE!", "unsuitable image", "N/A", "n/a.", "unknown"),
    *("I don't know", "i dont know", "I don’t know.", "I do not know what it is", "idk", "don't know", "no idea"),
    *("can't tell", "cant tell", "i cant tell", "I can not tell from the picture", "Cannot answer", "not sure"),
    *("I'm not sure.", "im not sure", "It's unclear from the picture", "unsure", "Maybe", "perhaps."),
    *("I'm sorry, but I can't help with that.", "Sorry, I cannot see it", "Sorry.", "As an AI language model, I"),
    *("It cannot be determined", "There is not enough information in the image", "I'm unable to see", "Unable to"),
]
ANSWERING = [
    *("no", "none", "nothing", "0", "yes", "not a dog", "unknown pleasures", "maybe a dog", "sorry!game", "asian"),
    *("I cannot see a dog", "I know", "the unanswerable question", "a", "-", "+", "_", "blurry", "i am blue", "nausea"),
]


@pytest.mark.parametrize("text", DECLINING)
def test_declines(text):
    assert is_abstention(text)


@pytest.mark.parametrize("text", ANSWERING)
def test_answers(text):
    assert not is_abstention(text)


@pytest.mark.parametrize("text", DECLINING)
def test_every_scorer_asks_before_it_reads(text):
    """With the very text as a reference, so that only the rule can say 0."""
    assert parse_yes_no(text) is None
    if text.strip():
        assert anls(text, text) == 0.0
        assert relaxed_accuracy(text, text) == 0.0
        assert exact_match(text, text, "none") == 0.0
    assert exact_match(text, [chr(i) for i in range(ord("A"), ord("Z") + 1)], "letter") == 0.0


def test_the_rule_can_be_switched_off_but_for_silence():
    assert not is_abstention("don't know", phrases=())
    assert relaxed_accuracy("Don't know", "don't know", abstention_phrases=()) == 1.0
    assert anls("unknown", "unknown", abstention_phrases=()) == 1.0
    assert exact_match("unknown", "unknown", abstention_phrases=()) == 1.0
    assert parse_yes_no("unanswerable", ()) is None
    assert is_abstention(" . ", phrases=())


def test_own_phrases():
    phrases = ["next question", "I pass *"]
    assert is_abstention("Next question!", phrases)
    assert not is_abstention("next question please", phrases)
    assert is_abstention("I pass, it's too dark", phrases)
    assert is_abstention("I pass", phrases)
    assert not is_abstention("I passed", phrases)
    assert not is_abstention("unanswerable", phrases)


@given(st.sampled_from(ABSTENTION_PHRASES), st.sampled_from([str.upper, str.title]), st.text(" .!?,\n", max_size=4))
def test_case_spaces_and_punctuation_do_not_matter(phrase, case, around):
    text = phrase.removesuffix(" *")
    assert is_abstention(around + case(text) + around)


@given(st.text())
def test_any_text_is_judged(text):
    assert is_abstention(text) in (True, False)
    assert is_abstention(f" {text}\n") == is_abstention(text)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: is_abstention(None), TypeError, "`text` to be a string but got NoneType; decode"),
        (
            lambda: is_abstention("", phrases="unanswerable"),
            TypeError,
            "`phrases` to be a sequence of strings .*; wrap",
        ),
        (lambda: is_abstention("", phrases=[3]), TypeError, "`phrases` to be a string but got int"),
        (lambda: is_abstention("", phrases=["*"]), ValueError, r"`phrases` to hold words but got '\*'; silence"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
