"""The cascade on the embedded model: what it breaks is broken, what is broken already is left alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from lit_vlr.attacks import AnswerStage, VQACascade
from lit_vlr.attacks.stages import ranked_answers
from lit_vlr.errors import UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.types import Batch, Sample
from lit_vlr_callbacks import attack_batch
from lit_vlr_callbacks.attacks import PGD, AttackResult
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import batch, family
from tests.callbacks._modules import Classifier

EPS, N = 4 / 255, 8


@pytest.fixture(scope="module")
def made() -> SelectiveVLM:
    return SelectiveVLM(family(bits=16, lora=None), SFT(), max_new_tokens=4).eval()


@pytest.fixture(scope="module")
def rows(made: SelectiveVLM) -> Batch:
    """Scenes whose annotators say what the model says, but for the first two, which it gets wrong."""
    asked = batch(made.family, N)
    said = [p.answer for p in made.answer(asked)]
    samples = [
        replace(s, answers=(own,) * 6 + ("cherry",) * 4) if row > 1 else s
        for row, (s, own) in enumerate(zip(asked.samples, said, strict=True))
    ]
    return made.family.collate(samples, [s.answers[0] for s in samples])


@pytest.fixture(scope="module")
def found(made: SelectiveVLM, rows: Batch) -> AttackResult:
    return attack_batch(made, rows, VQACascade(Linf(EPS), steps=3, answers=2))


def accuracies(made: SelectiveVLM, rows: Batch) -> list[float]:
    return [float(p.accuracy or 0) for p in made.answer(rows)]


def test_success_is_an_accuracy_of_zero(made: SelectiveVLM, rows: Batch, found: AttackResult) -> None:
    after = accuracies(made, rows.with_images(found.images))
    assert found.success is not None
    assert found.success.tolist() == [a == 0 for a in after]
    assert found.loss.tolist() == pytest.approx([1 - a for a in after])
    assert ((found.images.double() - rows.images.double()).abs() <= EPS).all()  # type: ignore[union-attr]


def test_it_breaks_answers_and_leaves_wrong_ones_alone(made: SelectiveVLM, rows: Batch, found: AttackResult) -> None:
    before = accuracies(made, rows)
    wrong = torch.tensor([a == 0 for a in before])
    assert wrong.sum() == 2
    assert 1 - float(found.loss.mean()) < sum(before) / N - 0.3
    assert torch.equal(found.images[wrong], rows.images[wrong])  # type: ignore[index]
    assert (found.passes[wrong] == 1).all()
    assert (found.passes[~wrong] > 1).all()


def test_a_sample_leaves_when_it_is_broken(made: SelectiveVLM, rows: Batch, found: AttackResult) -> None:
    """Clean, then a search of four passes and a judgement a stage: broken by the first, it has cost six."""
    assert all((p - 1) % 5 == 0 for p in found.passes.tolist())
    assert found.steps <= 1 + 5 * (2 + 1 + 2)
    assert found.passes.min() < found.passes.max()
    broken_at_once = found.passes == 6
    assert broken_at_once.any()
    assert found.success is not None
    assert found.success[broken_at_once].all()


def test_answers_are_ranked_by_how_many_gave_them(rows: Batch) -> None:
    for sample in rows.samples:
        ranked = ranked_answers(sample)
        counts = Counter(sample.answers)
        assert sorted(ranked) == sorted(counts)
        assert [counts[a] for a in ranked] == sorted(counts.values(), reverse=True)
    with pytest.raises(UserError, match="annotators' answers to attack but u has none"):
        ranked_answers(Sample("u", rows.samples[0].image, "i", "q"))


def test_it_needs_questions() -> None:
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(TypeError, match="Expected the loss of a SelectiveVLM but got IsolatedLoss; run the attack"):
        attack_batch(Classifier(), {"images": images, "labels": torch.tensor([0, 1])}, VQACascade(Linf(EPS)))


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="`answers` of at least 1"):
        VQACascade(Linf(EPS), answers=0)
    with pytest.raises(ValueError, match="`rank` of at least 0"):
        AnswerStage(PGD(Linf(EPS)), rank=-1)
