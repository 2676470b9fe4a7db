"""The scores as functions of token statistics: numbers by hand, invariants, malformed input."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lit_vlr.confidence
from lit_vlr.confidence import (
    AnswerSetProbability,
    AugmentationConsistency,
    NegativeEntropy,
    PTrue,
    SelfConsistency,
    SequenceProbability,
    agreement,
    answer_set_probability,
    first_token_margin,
    min_token_probability,
    negative_entropy,
    normalized_probability,
    sequence_probability,
)
from lit_vlr.errors import UserError
from lit_vlr.models import Generated, Sampling
from lit_vlr_callbacks.perturbations import Brightness

STATISTIC = {
    "token_log_probs": (sequence_probability, normalized_probability, min_token_probability),
    "token_margin": (first_token_margin,),
    "token_entropy": (negative_entropy,),
}
FUNCTIONS = [(name, function) for name, functions in STATISTIC.items() for function in functions]
LOG_PROBS = torch.tensor([[-0.1, -0.2, -9.0], [-0.3, -5.0, -7.0]])
MASK = torch.tensor([[True, True, False], [True, False, False]])


def generated(texts, rows, probabilities) -> Generated:
    """Answers from token ids and one probability a token; no padding."""
    length = max(map(len, rows))
    mask = torch.tensor([[i < len(row) for i in range(length)] for row in rows])
    log_probs = torch.tensor([[math.log(p) for p in ps] + [0.0] * (length - len(ps)) for ps in probabilities])
    tokens = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    return Generated(tuple(texts), log_probs, mask, tokens, torch.zeros(mask.shape), torch.zeros(mask.shape))


def test_public_names() -> None:
    assert set(lit_vlr.confidence.__all__) == {
        "AnswerSetProbability",
        "AugmentationConsistency",
        "Confidence",
        "ExplicitAbstention",
        "FirstTokenMargin",
        "MinTokenProbability",
        "NegativeEntropy",
        "NormalizedProbability",
        "OnePassConfidence",
        "PTrue",
        "Reservation",
        "Selector",
        "SelfConsistency",
        "SequenceProbability",
        "agreement",
        "answer_set_probability",
        "first_token_margin",
        "min_token_probability",
        "negative_entropy",
        "normalized_probability",
        "sequence_probability",
    }
    assert all(hasattr(lit_vlr.confidence, name) for name in lit_vlr.confidence.__all__)


def test_sequence_probability_multiplies_what_is_not_masked() -> None:
    expected = [math.exp(-0.1) * math.exp(-0.2), math.exp(-0.3)]
    torch.testing.assert_close(sequence_probability(LOG_PROBS, MASK), torch.tensor(expected))


def test_normalized_probability_is_the_geometric_mean() -> None:
    expected = [math.sqrt(math.exp(-0.1) * math.exp(-0.2)), math.exp(-0.3)]
    torch.testing.assert_close(normalized_probability(LOG_PROBS, MASK), torch.tensor(expected))


def test_min_token_probability_is_of_the_worst_token_of_the_answer() -> None:
    torch.testing.assert_close(min_token_probability(LOG_PROBS, MASK), torch.tensor([math.exp(-0.2), math.exp(-0.3)]))


def test_negative_entropy_of_all_tokens_and_of_the_first() -> None:
    entropy = torch.tensor([[1.0, 0.5, 9.0], [0.25, 9.0, 9.0]])
    assert negative_entropy(entropy, MASK).tolist() == [-0.75, -0.25]
    assert negative_entropy(entropy, MASK, "first").tolist() == [-1.0, -0.25]


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_what_stands_behind_the_end_token_never_counts(name: str, function) -> None:
    values = -LOG_PROBS if name != "token_log_probs" else LOG_PROBS
    for noise in (0.0, -80.0, float("nan"), float("-inf")):
        assert torch.equal(function(values.masked_fill(~MASK, noise), MASK), function(values, MASK))


@given(st.lists(st.floats(-8, -1e-3), min_size=1, max_size=6), st.integers(0, 4))
def test_order_of_the_scores_of_one_answer(log_probs: list[float], padding: int) -> None:
    values = torch.tensor([log_probs + [-3.0] * padding])
    mask = torch.tensor([[True] * len(log_probs) + [False] * padding])
    sequence, smallest, normalised = (
        float(f(values, mask)) for f in (sequence_probability, min_token_probability, normalized_probability)
    )
    assert 0 <= sequence <= smallest * (1 + 1e-5)
    assert smallest <= normalised * (1 + 1e-5)
    assert normalised <= 1


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_exception_shapes_and_empty_answers(name: str, function) -> None:
    with pytest.raises(ValueError, match=rf"Expected `{name}` and `token_mask` of one shape .* but got \(2, 3\)"):
        function(LOG_PROBS, MASK[:, :2])
    with pytest.raises(ValueError, match="Expected at least one token an answer but row 1"):
        function(LOG_PROBS, MASK & torch.tensor([[True], [False]]))


def test_agreement_is_under_vqa_normalisation() -> None:
    others = [["2", "Two.", "the two", "three"], ["dogs", "dog", "a dog", "cat"]]
    assert agreement(["two", "dog"], others).tolist() == [0.75, 0.5]


def test_exception_agreement() -> None:
    with pytest.raises(ValueError, match=r"Expected further answers to each of 2 questions but got \[1\]"):
        agreement(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match=r"but got \[1, 0\]"):
        agreement(["a", "b"], [["a"], []])


def test_answer_set_probability_counts_distinct_sequences_of_one_answer_once() -> None:
    greedy = generated(["two", "red"], [[5, 1], [7, 1]], [[0.5, 0.8], [0.6, 1.0]])
    samples = generated(
        # of "two": the greedy sequence again, "2" twice, another answer; of "red": nothing new
        ["two", "2", "2", "three", "red", "blue", "red", "green"],
        [[5, 1], [4, 1], [4, 1], [6, 1], [7, 1], [8, 1], [7, 1], [9, 1]],
        [[0.5, 0.8], [0.3, 0.5], [0.3, 0.5], [0.1, 1.0], [0.6, 1.0], [0.2, 1.0], [0.6, 1.0], [0.1, 1.0]],
    )
    torch.testing.assert_close(answer_set_probability(greedy, samples), torch.tensor([0.5 * 0.8 + 0.3 * 0.5, 0.6]))


def test_answer_set_probability_tells_sequences_of_one_text_apart() -> None:
    # "wood" in one token or in two, and padding of another length in the two passes.
    greedy = generated(["wood"], [[5, 1, 9]], [[0.5, 0.5, 1.0]])
    samples = generated(["wood", "wood"], [[5, 1, 9, 2], [5, 1, 9]], [[0.5, 0.5, 1.0, 0.1], [0.5, 0.5, 1.0]])
    torch.testing.assert_close(answer_set_probability(greedy, samples), torch.tensor([0.25 + 0.025]))


def test_exception_answer_set_probability() -> None:
    greedy = generated(["a", "b"], [[1], [2]], [[0.5], [0.5]])
    with pytest.raises(ValueError, match="Expected as many samples for each of 2 answers but got 1"):
        answer_set_probability(greedy, generated(["a"], [[1]], [[0.5]]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "Expected `samples` of at least 1 but got 0"),
        ({"temperature": 0.0}, "Expected `temperature` above 0 but got 0.0"),
        ({"temperature": float("nan")}, "Expected `temperature` above 0"),
        ({"seed": -1}, "Expected `seed` of at least 0 but got -1"),
    ],
)
def test_exception_sampling(settings, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Sampling(**settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AugmentationConsistency(Brightness(), copies=0), "Expected `copies` of at least 1 but got 0"),
        (lambda: AugmentationConsistency(Brightness(), seed=-1), "Expected `seed` of at least 0"),
        (lambda: AugmentationConsistency(Brightness(), dialect="vqa"), "Expected `dialect` to be one of"),
        (lambda: SelfConsistency(dialect="vqa"), "Expected `dialect` to be one of"),
        (lambda: AnswerSetProbability(dialect="vqa"), "Expected `dialect` to be one of"),
        (lambda: NegativeEntropy("last"), "Expected `tokens` to be one of"),
        (lambda: PTrue("{question} {answer}"), "Expected `prompt` with one <image>"),
        (lambda: PTrue("<image> {question}"), "an {answer} but got"),
        (lambda: PTrue(right="A", wrong="A"), "Expected `right` and `wrong` to differ"),
    ],
)
def test_exception_arguments(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_repr_says_how_a_score_is_made() -> None:
    # Checkpoints compare it with that of the score in force.
    assert repr(SequenceProbability()) == "SequenceProbability()"
    assert repr(NegativeEntropy("first")) == "NegativeEntropy(tokens='first')"
    sampling = "Sampling(samples=3, temperature=1.0, seed=5)"
    assert repr(SelfConsistency(Sampling(3, seed=5))) == f"SelfConsistency(sampling={sampling}, dialect='no_skip')"
    assert "brightness=[-0.2, 0.2]), copies=4, seed=0" in repr(AugmentationConsistency(Brightness()))


def test_scores_have_no_weights_that_a_checkpoint_would_miss() -> None:
    assert not PTrue().state_dict()
