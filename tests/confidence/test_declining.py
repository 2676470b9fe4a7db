"""Declining in words and withholding by a score, as one decision."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lit_vlr.candidates import answer_candidates
from lit_vlr.confidence import ExplicitAbstention, NegativeEntropy, Reservation, SequenceProbability
from lit_vlr.errors import UserError
from lit_vlr.functional import aurc, is_abstention
from lit_vlr.models import Llava, Quantization
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.thresholding import FitThreshold, threshold_at_risk
from tests._tiny import batch, family
from tests.models._checkpoints import save
from tests.objectives._outputs import Pieces

DECLINES = "unanswerable"


@pytest.fixture(scope="module")
def made():
    """The embedded model, to which "unanswerable" is made likelier until it says so now and then."""
    found = family(bits=16, lora=None).eval()
    token = found.answer_tokens(DECLINES)[0]

    def favour(_module, _inputs, logits):
        return logits + 6.0 * torch.nn.functional.one_hot(torch.tensor(token), logits.shape[-1])

    found.base.lm_head.register_forward_hook(favour)
    return found


def test_what_declines_is_an_abstention_whatever_the_threshold(made) -> None:
    rows = batch(made, 24)
    module = SelectiveVLM(made, SFT(), max_new_tokens=4, confidence=ExplicitAbstention())
    plain = SelectiveVLM(made, SFT(), max_new_tokens=4)
    with torch.no_grad():
        found, usual = module.answer(rows), plain.answer(rows)
    said = [is_abstention(p.answer) for p in found]
    assert 0 < sum(said) < len(said)
    assert [p.abstained for p in found] == said == [p.declined for p in found]  # the threshold answers everything
    assert not any(p.abstained or p.declined for p in usual)
    for one, other in zip(found, usual, strict=True):
        assert one.answer == other.answer
        assert one.confidence == (0.0 if is_abstention(one.answer) else other.confidence)
    module.threshold.fill_(0.4)
    with torch.no_grad():
        assert [p.abstained for p in module.answer(rows)] == [p.confidence < 0.4 for p in found]


def test_a_threshold_is_fitted_on_answers_alone(made) -> None:
    """What declines in words may be right, and is given under no threshold: it must not pay for wrong answers."""
    rows = batch(made, 24)
    module = SelectiveVLM(made, SFT(), max_new_tokens=4, confidence=ExplicitAbstention())
    with torch.no_grad():
        found = [replace(p, accuracy=float(p.declined or i % 4 > 0)) for i, p in enumerate(module.answer(rows))]
    given = [p for p in found if not p.declined]
    wrong = sum(p.accuracy == 0 for p in given) / len(given)
    fit = FitThreshold(max_risk=wrong - 0.01)
    trainer: Any = SimpleNamespace(sanity_checking=False)
    fit.on_validation_batch_end(trainer, module, {"predictions": found}, rows, 0)
    fit.on_validation_epoch_end(trainer, module)
    threshold = threshold_at_risk(*torch.tensor([(p.confidence, p.accuracy) for p in given]).double().T, wrong - 0.01)
    assert float(module.threshold) == pytest.approx(threshold)
    assert threshold > min(p.confidence for p in given)


def test_validation_takes_what_is_declined_for_no_answer(made) -> None:
    rows = batch(made, 24)
    module = SelectiveVLM(made, SFT(), max_new_tokens=4, confidence=ExplicitAbstention()).eval()
    with torch.no_grad():
        found = module.validation_step(rows, 0)["predictions"]
    columns = torch.tensor([(p.confidence, p.accuracy, p.declined) for p in found]).double().T
    expected = aurc(columns[0], columns[1], abstained=columns[2])
    assert float(module.selective.compute()["val/selective/aurc"]) == pytest.approx(float(expected))
    assert float(expected) > float(aurc(columns[0], columns[1]))


def test_attacks_see_both_ways_of_abstaining(made) -> None:
    rows = batch(made, 24)
    candidates = answer_candidates(made, ExplicitAbstention(), rows, 4, "no_skip", 0.5)
    usual = answer_candidates(made, SequenceProbability(), rows, 4, "no_skip", 0.5)
    images = rows.images.clone().requires_grad_()
    scores, plain = candidates.score(images), usual.score(images)
    declining = torch.tensor([is_abstention(text) for text in made.generate(rows, 4).texts])
    assert scores.isneginf().any(1).all()  # "unanswerable" is everybody's candidate
    # Where it answers the score is about its own; where it declines the best answer's is far below it.
    assert (scores.amax(1) <= plain.amax(1) + 1e-6).all()
    assert (scores.amax(1).exp()[declining] < 0.5).all()
    (grad,) = torch.autograd.grad(scores.amax(1).sum(), images)
    assert grad.isfinite().all()
    assert grad.flatten(1).any(1).all()


def test_reservation_is_what_is_not_on_the_token_that_abstains(made) -> None:
    rows = batch(made, 8)
    with torch.no_grad():
        generated, output = made.generate(rows, 4), made(rows)
        found = Reservation()(generated, made, rows, 4)
    first = output.answer_logits[output.first_places(8)].softmax(-1)
    torch.testing.assert_close(found, 1 - first[:, made.answer_tokens(DECLINES)[0]], atol=1e-6, rtol=1e-5)
    assert ((0 <= found) & (found <= 1)).all()
    scores = answer_candidates(made, Reservation(), rows, 4, "no_skip", 0.5).score(rows.images)
    torch.testing.assert_close(scores.amax(1).exp(), found, atol=1e-6, rtol=1e-5)


def test_reservation_on_words_of_several_tokens_is_refused_before_anything_is_loaded(tmp_path) -> None:
    with pytest.raises(UserError, match=r"of Reservation to be one token but 'unanswerable' is 3 tokens .*'unknown'"):
        Reservation().check(Pieces())
    Reservation("unknown").check(Pieces())
    with pytest.raises(UserError, match=r"`abstention` of Reservation to be one token but ' ' is 0 tokens"):
        Reservation(" ").check(Pieces())
    spelled = Llava(str(save("Llava", tmp_path)), Quantization(bits=16), None)  # its tokens are bytes
    with pytest.raises(UserError, match=r"is 13 tokens to Llava .* to another word; none of the phrases"):
        SelectiveVLM(spelled, SFT(), confidence=ExplicitAbstention(Reservation()))


def test_a_score_of_another_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"`score` in \[0, 1\], of which 0 can mean declining, but got Negative"):
        ExplicitAbstention(NegativeEntropy())
