"""One question on a clean and an attacked picture, on the embedded model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lit_vlr.confidence import SequenceProbability
from lit_vlr.data.scenes import make_sample
from lit_vlr.errors import UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives.sft import SFT
from lit_vlr.page import attacking
from lit_vlr.page.attacking import answer_under_attack
from lit_vlr.predictor import SelectivePredictor
from tests._tiny import family

SCENE = make_sample("test", 0)
EPS = 8 / 255


@pytest.fixture(scope="module")
def predictor() -> SelectivePredictor:
    return SelectivePredictor(SelectiveVLM(family(), SFT(), max_new_tokens=4))


def ask(predictor: SelectivePredictor, **given: object) -> attacking.Exchange:
    return answer_under_attack(predictor, SCENE.image, SCENE.question, **given)


def test_without_an_attack_it_says_what_the_predictor_says(predictor) -> None:
    found, plain = ask(predictor), predictor(SCENE.image, SCENE.question)
    assert found.clean is found.attacked
    assert not found.moved
    assert (found.clean.text, found.clean.confidence) == (plain.answer, plain.confidence)
    assert np.array_equal(np.round(255 * found.clean.pixels).astype(np.uint8), SCENE.image)
    assert found.clean.accuracy is None


def test_an_answer_that_declines_is_withheld_at_every_threshold() -> None:
    class Declining(SequenceProbability):
        def declines(self, texts: Sequence[str]) -> list[bool]:
            return [True] * len(texts)

    module = SelectiveVLM(family(), SFT(), max_new_tokens=4, confidence=Declining())
    found = ask(SelectivePredictor(module)).clean
    assert found.text
    assert found.answer(-math.inf) is None
    assert replace(found, declined=False).answer(-math.inf) == found.text


def test_the_attack_lowers_the_confidence_in_the_attacked_answer_within_eps(predictor) -> None:
    """Away from its own answer: either another one is given, or this one with less confidence."""
    found = ask(predictor, eps=EPS)
    assert found.target == found.clean.text
    difference = np.abs(found.attacked.pixels.astype(np.float64) - found.clean.pixels)
    assert 0.5 * EPS < difference.max() <= EPS
    assert 0 <= found.attacked.pixels.min() <= found.attacked.pixels.max() <= 1
    assert found.attacked.text != found.target or found.attacked.confidence < 0.5 * found.clean.confidence


def test_a_true_answer_is_attacked_and_judged_by(predictor) -> None:
    found = ask(predictor, eps=EPS, truth=" Ten thousand ")
    assert found.target == "Ten thousand"
    assert found.clean.accuracy == 0
    own = found.clean.text
    assert ask(predictor, truth=own).clean.accuracy == 1


def test_the_picture_attacked_is_the_picture_answered(predictor) -> None:
    found = ask(predictor, eps=EPS)
    again = ask(predictor, eps=EPS)
    assert np.array_equal(found.attacked.pixels, again.attacked.pixels)  # seeded
    module = predictor.module
    batch = module.family.collate([replace(SCENE, answers=())], [""])
    images = batch.images.new_tensor(found.attacked.pixels).permute(2, 0, 1)[None]
    answered = module.answer(batch.with_images(images))[0]
    assert (answered.answer, answered.confidence) == (found.attacked.text, pytest.approx(found.attacked.confidence))


def test_a_forced_abstention_lowers_what_is_over_the_threshold(predictor) -> None:
    sure = ask(predictor).clean.confidence
    found = ask(predictor, eps=EPS, aim="abstain", threshold=0.99 * sure)
    assert found.clean.answer(found.threshold) == found.clean.text
    assert found.attacked.confidence < found.clean.confidence
    assert found.attacked.answer(found.threshold) is None
    # What is abstained from already cannot be forced to be.
    closed = ask(predictor, eps=EPS, aim="abstain", threshold=1.01 * sure)
    assert not closed.moved
    assert closed.attacked.confidence == pytest.approx(closed.clean.confidence)


def test_another_answer_is_made_confident(predictor) -> None:
    found = ask(predictor, eps=EPS, aim="confident", threshold=0.01)
    assert found.moved
    assert found.aimed_at == 0.01
    assert found.attacked.text != found.target
    assert found.attacked.answer(0.01) == found.attacked.text


def test_another_threshold_asks_no_model(predictor, monkeypatch) -> None:
    found = ask(predictor, eps=EPS, aim="abstain", threshold=0.0)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(attacking, "attack_batch", never)
    monkeypatch.setattr(SelectiveVLM, "answer", never)
    low, high = found.at(-math.inf), found.at(math.inf)
    assert (low.clean.answer(low.threshold), high.clean.answer(high.threshold)) == (found.clean.text, None)
    assert (low.aimed_at, low.clean, low.attacked) == (0.0, found.clean, found.attacked)
    least = found.clean.confidence
    assert found.clean.answer(least) == found.clean.text  # not below it
    with pytest.raises(ValueError, match="`threshold` to be a number but got nan"):
        found.at(math.nan)


def test_the_threshold_is_the_predictors_unless_another_is_given(predictor) -> None:
    assert ask(predictor).threshold == predictor.threshold == -math.inf
    assert ask(predictor, threshold=0.5).threshold == 0.5
    assert predictor.threshold == -math.inf


def test_nothing_is_left_behind(predictor) -> None:
    before = {name: value.clone() for name, value in predictor.module.state_dict().items()}
    trained = [name for name, value in predictor.module.named_parameters() if value.requires_grad]
    ask(predictor, eps=EPS, aim="confident")
    assert all(value.equal(before[name]) for name, value in predictor.module.state_dict().items())
    assert trained == [name for name, value in predictor.module.named_parameters() if value.requires_grad]
    assert all(value.grad is None for value in predictor.module.parameters())
    assert not predictor.module.training


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"eps": -0.1}, r"Expected `eps` in \[0, 1\] but got -0.1"),
        ({"eps": math.nan}, r"Expected `eps` in \[0, 1\]"),
        ({"aim": "havoc"}, "Expected `aim` to be one of"),
        ({"threshold": math.nan}, "`threshold` to be a number"),
        ({"eps": EPS, "steps": 0}, "Expected `steps`"),
    ],
)
def test_bad_arguments_are_named(predictor, given, message) -> None:
    with pytest.raises(ValueError, match=message):
        ask(predictor, **given)


def test_bad_questions_and_pictures_are_named(predictor, tmp_path) -> None:
    with pytest.raises(UserError, match="Expected a question but it is empty"):
        answer_under_attack(predictor, SCENE.image, " ")
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(UserError, match="convert or replace it"):
        answer_under_attack(predictor, tmp_path / "page.png", "What is it?")
