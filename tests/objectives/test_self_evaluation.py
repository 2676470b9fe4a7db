"""Models that learn to judge their answers: with an adapter of their own, or with the whole model (R-Tuning)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from lit_vlr.candidates import answer_candidates
from lit_vlr.confidence import ExplicitAbstention, PTrue, SequenceProbability
from lit_vlr.confidence.normalized_probability import normalized_probability
from lit_vlr.errors import UserError
from lit_vlr.functional import vqa_accuracy
from lit_vlr.models import Lora
from lit_vlr.models.tiny import resolve
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT, RTuning, SelfEvaluation
from lit_vlr.objectives.judging import teacher_forced_accuracy
from lit_vlr.optim import Optimisation, build_optimizer
from lit_vlr.tasks import VQAAccuracy
from lit_vlr.types import Task
from tests._answers import predictions, write
from tests._tiny import batch, family
from tests.objectives.test_selector import fit, module, trained

NAME = "self_evaluation"


def judge() -> PTrue:
    return PTrue(adapter=NAME)


@pytest.fixture
def judged():
    """The embedded model with a judge that is no longer the model itself."""
    made, confidence, objective = family(), judge(), SelfEvaluation(max_new_tokens=4, weight=2.0)
    confidence.prepare(made)
    confidence.prepare(made)  # a second call does nothing
    objective.prepare(made, confidence)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if f"lora_B.{NAME}" in name:
                parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(0))
    return made, confidence, objective


def gradients(made) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in made.named_parameters() if p.grad is not None}
    made.zero_grad()
    return found


def test_the_judge_learns_and_the_model_is_trained_as_without_it(judged) -> None:
    made, _, objective = judged
    rows = batch(made, 6)
    SFT()(made(rows), rows).mean().backward()
    alone = gradients(made)
    objective(made(rows), rows).mean().backward()
    along = gradients(made)
    own = {name for name in along if NAME in name}
    assert own
    assert all("language_model" in name for name in own)  # the picture's towers are read as they are
    assert {name for name in along if along[name].any()} - own == {name for name in alone if alone[name].any()}
    for name, grad in alone.items():
        torch.testing.assert_close(along[name], grad, atol=0, rtol=0)
    assert all(along[name].any() for name in own if "lora_B" in name)


def test_the_loss_is_that_of_p_true_on_what_is_generated(judged) -> None:
    made, confidence, objective = judged
    rows = batch(made, 6)
    made.train()
    with torch.no_grad():
        losses = objective(made(rows), rows).tolist()
        plain = SFT()(made(rows), rows).tolist()
        generated = made.generate(rows, 4)
        true = confidence(generated, made, rows, 4).tolist()
    assert made.training
    for i, sample in enumerate(rows.samples):
        right = float(vqa_accuracy(generated.texts[i], sample.answers, dialect="no_skip"))
        judged_loss = -right * math.log(true[i]) - (1 - right) * math.log(1 - true[i])
        assert losses[i] == pytest.approx(plain[i] + 2 * judged_loss, rel=1e-4)


def test_answers_are_judged_at_the_length_that_they_are_given_in(judged, monkeypatch) -> None:
    made, _, objective = judged
    rows = batch(made, 6)
    limits = [1, 2, 4, 6, 1, 4]
    tasks = [None if limit == 4 else Task(VQAAccuracy(), max_new_tokens=limit) for limit in limits]
    rows.samples = tuple(replace(sample, task=task) for sample, task in zip(rows.samples, tasks, strict=True))
    asked: list[list[str]] = []
    log_odds = PTrue.log_odds

    def watched(self, answers, *rest):
        asked.append(list(answers))
        return log_odds(self, answers, *rest)

    monkeypatch.setattr(PTrue, "log_odds", watched)
    with torch.no_grad():
        objective(made(rows), rows)
        answers = SelectiveVLM(made, objective, max_new_tokens=4).answer(rows)
    assert asked == [[prediction.answer for prediction in answers]]
    assert len({len(made.answer_tokens(text)) for text in asked[0]}) > 2


def test_the_judges_gradient_matches_finite_differences(judged) -> None:
    made, _, objective = judged
    rows = batch(made, 4)
    name, weight = next((n, p) for n, p in made.named_parameters() if f"lora_B.{NAME}" in n)
    objective(made(rows), rows).sum().backward()
    grad = made.get_parameter(name).grad.clone()
    place = divmod(int(grad.abs().argmax()), grad.shape[1])
    values = []
    with torch.no_grad():
        start = float(weight[place])
        for step in (1e-2, -1e-2):
            weight[place] = start + step
            values.append(float(objective(made(rows), rows).double().sum()))
        weight[place] = start
    assert float(grad[place]) == pytest.approx((values[0] - values[1]) / 2e-2, rel=0.05)


def test_answers_are_given_without_the_judge_and_nothing_is_left_changed(judged) -> None:
    made, confidence, _ = judged
    rows = batch(made, 4)
    wanted = {name: p.requires_grad for name, p in made.named_parameters()}
    with torch.no_grad():
        before = made(rows).answer_logits
        odds = confidence.log_odds(["red"] * 4, made, rows)
        after = made(rows).answer_logits
        itself = PTrue().log_odds(["red"] * 4, made, rows)
    assert torch.equal(before, after)
    assert (odds - itself).abs().min() > 1e-3
    with pytest.raises(ZeroDivisionError), made.adapter(NAME):
        raise ZeroDivisionError
    assert {name: p.requires_grad for name, p in made.named_parameters()} == wanted
    with torch.no_grad():
        assert torch.equal(made(rows).answer_logits, before)


@pytest.mark.parametrize("wrap", [lambda confidence: confidence, ExplicitAbstention])
def test_the_judge_has_the_confidences_rate(wrap) -> None:
    made = SelectiveVLM(family(), SelfEvaluation(), Optimisation(lr=2e-3, confidence_lr=5e-4), confidence=wrap(judge()))
    made.configure_model()
    trained = {name: p for name, p in made.named_parameters() if p.requires_grad}
    groups = build_optimizer(trained, made.optimisation, 10, made._tower_of)["optimizer"].param_groups
    rates = {id(p): group["initial_lr"] for group in groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in trained.items()}
    assert {rate for name, rate in found.items() if NAME in name} == {5e-4}
    assert {rate for name, rate in found.items() if NAME not in name} == {2e-3}


def test_it_travels_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=2, save_top_k=-1)
    whole, resumed = (module(SelfEvaluation(max_new_tokens=4), judge()) for _ in range(2))
    fit(whole, tmp_path, 4, callbacks=[kept])
    fit(resumed, tmp_path, 4, str(tmp_path / "step=2.ckpt"), enable_checkpointing=False)
    expected = trained(whole, "")
    assert any(NAME in name for name in expected)
    assert all(torch.equal(value, expected[name]) for name, value in trained(resumed, "").items())

    whole.family.save_adapter(str(tmp_path / "adapter"))
    base = AutoModelForImageTextToText.from_pretrained(resolve("tiny-llava"))
    loaded = PeftModel.from_pretrained(base, str(tmp_path / "adapter"))
    loaded.load_adapter(str(tmp_path / "adapter" / NAME), NAME)
    there = {name: value for name, value in loaded.state_dict().items() if f"lora_B.{NAME}" in name}
    mine = {name: value for name, value in whole.family.model.state_dict().items() if f"lora_B.{NAME}" in name}
    assert there.keys() == mine.keys()
    assert all(torch.equal(value, mine[name]) for name, value in there.items())


def test_likelihood_can_be_mixed_in(judged) -> None:
    made, confidence, _ = judged
    rows = batch(made, 4)
    generated = made.generate(rows, 4)
    mixed = PTrue(adapter=NAME, share=0.25)(generated, made, rows, 4)
    likely = normalized_probability(generated.token_log_probs, generated.token_mask)
    torch.testing.assert_close(mixed, confidence(generated, made, rows, 4) ** 0.25 * likely**0.75)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_attacks_on_the_abstainer_see_the_score_of_what_is_answered(judged, share: float) -> None:
    made, _, _ = judged
    rows, confidence = batch(made, 5), PTrue(adapter=NAME, share=share)
    candidates = answer_candidates(made, confidence, rows, 4, "no_skip", 0.5)
    images = rows.images.clone().requires_grad_()
    scores = candidates.score(images)
    generated = made.generate(rows, 4)
    torch.testing.assert_close(scores.amax(1).exp(), confidence(generated, made, rows, 4), atol=1e-5, rtol=1e-4)
    assert (scores.argmax(1) == 0).all()
    (grad,) = torch.autograd.grad(scores.amax(1).sum(), images)
    assert grad.flatten(1).any(1).all()


def test_r_tuning_learns_from_true_answers_whether_it_would_have_known(tmp_path: Path) -> None:
    made, confidence = family(bits=16), PTrue()
    rows = batch(made, 6)
    accuracies = [0.0, 1.0, 0.3, 0.6, 0.9, 0.0]
    labelled = [replace(p, uid=u, accuracy=a) for p, u, a in zip(predictions(6), rows.uids, accuracies, strict=True)]
    path = write(tmp_path / "before.jsonl", labelled)
    objective = RTuning(weight=0.5, labels=path)
    objective.prepare(made, confidence)
    with torch.no_grad():
        output = made(rows)
        plain = SFT()(output, rows).tolist()
        sure = confidence.log_odds(rows.targets, made, rows).sigmoid().tolist()
        own = teacher_forced_accuracy(output, rows, made, "no_skip").tolist()
        for wanted, found in (
            (accuracies, objective(output, rows)),
            (own, objective.eval()(output, rows)),
        ):
            for i in range(6):
                said = -wanted[i] * math.log(sure[i]) - (1 - wanted[i]) * math.log(1 - sure[i])
                assert float(found[i]) == pytest.approx(plain[i] + 0.5 * said, rel=1e-4)


def labelled(folder: Path, rows, weight: float) -> tuple[RTuning, list[float]]:
    """R-Tuning with labels of a file."""
    accuracies = [0.0, 1.0, 0.3, 0.6][: len(rows)]
    made = predictions(len(rows))
    labels = [replace(p, uid=u, accuracy=a) for p, u, a in zip(made, rows.uids, accuracies, strict=True)]
    return RTuning(weight=weight, labels=write(folder / "labels.jsonl", labels)), accuracies


def test_r_tunings_gradient_is_that_of_plain_passes_a_row(tmp_path: Path) -> None:
    """An oracle from transformers' own logits: one row at a time, without padding, and formulas written out."""
    made, confidence = family(bits=16), PTrue()
    rows = batch(made, 4)
    objective, accuracies = labelled(tmp_path, rows, 0.5)
    objective.prepare(made, confidence)
    weights = [p for n, p in made.named_parameters() if "lora_B" in n][:6]
    losses = objective(made(rows), rows)
    found = torch.autograd.grad(losses.sum(), weights)

    def logits(ids: list[int], image: torch.Tensor) -> torch.Tensor:
        return made.base(input_ids=torch.tensor([ids]), **made.pixel_inputs([image])).logits[0].double()

    total = torch.zeros((), dtype=torch.float64)
    for i, (sample, target) in enumerate(zip(rows.samples, rows.targets, strict=True)):
        asked = confidence.ask(sample.question, target)
        yes, no = made.option_tokens(asked, [confidence.right, confidence.wrong])
        last = logits(made.encode(asked, rows.images[i]), rows.images[i])[-1].exp()
        sure = last[yes] / (last[yes] + last[no])
        judged = -accuracies[i] * sure.log() - (1 - accuracies[i]) * (1 - sure).log()
        prompt, answer = rows.prompt_ids[i][rows.prompt_mask[i].bool()].tolist(), made.answer_tokens(target)
        said = logits([*prompt, *answer], rows.images[i])[len(prompt) - 1 : -1].exp()
        told = sum(-(p[token] / p.sum()).log() for p, token in zip(said, answer, strict=True)) / len(answer)
        torch.testing.assert_close(losses[i].double(), told + 0.5 * judged, atol=1e-5, rtol=1e-4)
        total = total + told + 0.5 * judged
    for one, other in zip(found, torch.autograd.grad(total, weights), strict=True):
        assert one.any()
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_r_tunings_gradient_matches_finite_differences(tmp_path: Path) -> None:
    made = family(bits=16)
    rows = batch(made, 4)
    objective, _ = labelled(tmp_path, rows, 5.0)
    objective.prepare(made, PTrue())
    weight = next(p for n, p in made.named_parameters() if "language_model" in n and "lora_B" in n)
    (grad,) = torch.autograd.grad(objective(made(rows), rows).sum(), weight)
    place = divmod(int(grad.abs().argmax()), grad.shape[1])
    values = []
    with torch.no_grad():
        for step in (1e-2, -1e-2):
            weight[place] = step  # adapters begin at 0
            values.append(float(objective(made(rows), rows).double().sum()))
    assert float(grad[place]) == pytest.approx((values[0] - values[1]) / 2e-2, rel=0.05)


def test_r_tuning_has_its_models_own_objective_as_its_limit(tmp_path: Path) -> None:
    made = family(bits=16)
    rows = batch(made, 4)
    objective, _ = labelled(tmp_path, rows, 1e-9)
    objective.prepare(made, PTrue())
    weights = [p for n, p in made.named_parameters() if "lora_B" in n]
    losses = [one(made(rows), rows) for one in (objective, SFT())]
    torch.testing.assert_close(*losses, atol=1e-6, rtol=1e-6)
    grads = [torch.autograd.grad(loss.sum(), weights) for loss in losses]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "confidence", "said"),
    [
        (SelfEvaluation, PTrue, r"`PTrue` with an `adapter` .*SelfEvaluation.*confidence/self_evaluation\.yaml"),
        (SelfEvaluation, SequenceProbability, "but got SequenceProbability"),
        (RTuning, judge, r"`PTrue` without an `adapter` .*confidence/r_tuning\.yaml"),
        (SFT, judge, r"objective that trains PTrue.*objective/self_evaluation\.yaml"),
    ],
)
def test_objective_and_confidence_belong_together(objective, confidence, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        fit(module(objective(), confidence()), tmp_path, enable_checkpointing=False)


def test_what_cannot_have_another_adapter_says_so() -> None:
    with pytest.raises(UserError, match=r"another, 'self_evaluation', but `lora` is null; set `family\.lora`"):
        judge().prepare(family(lora=None))
    with pytest.raises(UserError, match="`gradient_checkpointing: false` with a further adapter"):
        judge().prepare(family(lora=Lora(), gradient_checkpointing=True))
    with pytest.raises(UserError, match="Expected `adapter` as a name of its own but got 'default'"):
        PTrue(adapter="default").prepare(family())
    with pytest.raises(UserError, match="Expected `max_new_tokens` of at least 1 but got 0"):
        SelfEvaluation(max_new_tokens=0)
    with pytest.raises(ValueError, match="`share`"):
        PTrue(share=1.5)
