"""A selector learns along with the model, changes nothing about it, and travels with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lit_vlr.candidates import answer_candidates
from lit_vlr.confidence import ExplicitAbstention, Selector, SequenceProbability
from lit_vlr.confidence.selector import LOGIT_STATISTICS, logit_statistics
from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.datamodule import ScenesDataModule
from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.functional import selector_loss, vqa_accuracy
from lit_vlr.models import Llava, Lora
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT, SelfAdaptive, TrainSelector
from lit_vlr.objectives.judging import teacher_forced_accuracy
from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._answers import predictions, write
from tests._tiny import batch, family
from tests.oracles.abstain_losses import softmax

HALF = (0.5, 0.5, 0.5)


def module(objective, confidence=None) -> SelectiveVLM:
    made = Llava("tiny-llava", lora=Lora(r=4, dropout=0.0), image_mean=HALF, image_std=HALF)
    return SelectiveVLM(made, objective, confidence=confidence)


def fit(made: SelectiveVLM, folder: Path, steps: int = 2, ckpt_path: str | None = None, **options) -> Trainer:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        **options,
    )
    torch.manual_seed(0)  # adapters are made when the fit begins
    data = ScenesDataModule(train_size=20, calibration_size=8, test_size=4, ood_size=0, batch_size=4)
    trainer.fit(made, data, ckpt_path=ckpt_path)
    return trainer


def trained(made: SelectiveVLM, prefix: str) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in made.named_parameters() if p.requires_grad and n.startswith(prefix)}


def test_the_model_is_trained_as_without_a_selector(tmp_path: Path) -> None:
    plain, selective = module(SFT()), module(TrainSelector(weight=3.0), Selector(16))
    fit(plain, tmp_path, enable_checkpointing=False)
    fit(selective, tmp_path, enable_checkpointing=False)
    expected = trained(plain, "family")
    assert expected
    assert all(torch.equal(value, expected[name]) for name, value in trained(selective, "family").items())


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_models_gradient_is_that_without_a_selector_and_only_later_masks_are_others(dropout: float) -> None:
    made = family(bits=16, lora=Lora(r=4, dropout=dropout)).train()
    rows, selector = batch(made, 4), Selector(16, dropout=0.1)
    selector.prepare(made)
    objective = TrainSelector(weight=3.0)
    objective.prepare(made, selector)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:  # zeros, behind which no mask would be seen
                parameter.normal_(0, 0.1)
    weights = [p for p in made.parameters() if p.requires_grad]
    grads, following = [], []
    for trained in (SFT(), objective):
        torch.manual_seed(0)
        loss = trained(made(rows), rows).mean()
        grads.append(torch.autograd.grad(loss, weights, allow_unused=True))
        following.append(made(rows).answer_logits)
    assert any(grad is not None and bool(grad.any()) for grad in grads[0])
    for plain, along in zip(*grads, strict=True):
        assert (plain is None and along is None) or torch.equal(plain, along)
    assert torch.equal(*following) == (dropout == 0)  # the selector's dropout draws from the same stream


def test_a_selector_can_be_trained_afterwards(tmp_path: Path) -> None:
    made = module(TrainSelector(train_model=False), Selector(16))
    made.configure_model()
    before, untrained = trained(made, "family"), trained(made, "confidence")
    fit(made, tmp_path, enable_checkpointing=False)
    assert all(torch.equal(value, before[name]) for name, value in trained(made, "family").items())
    assert any(not torch.equal(value, untrained[name]) for name, value in trained(made, "confidence").items())


def test_it_travels_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=2, save_top_k=-1)

    def make() -> SelectiveVLM:
        return module(TrainSelector(SelfAdaptive(after=1)), Selector(16))

    whole, resumed = make(), make()
    fit(whole, tmp_path, 4, callbacks=[kept])
    fit(resumed, tmp_path, 4, str(tmp_path / "step=2.ckpt"), enable_checkpointing=False)
    expected = trained(whole, "")
    assert any(name.startswith("confidence") for name in expected)
    assert all(torch.equal(value, expected[name]) for name, value in trained(resumed, "").items())
    objectives = [made.objective.model for made in (whole, resumed)]  # type: ignore[union-attr]
    assert objectives[0].targets == objectives[1].targets  # type: ignore[union-attr]
    assert len(objectives[0].targets) > 4  # type: ignore[arg-type,union-attr]
    assert int(objectives[1].seen) == 4  # type: ignore[arg-type,union-attr]


def test_a_selector_learns_behind_explicit_abstention_too(tmp_path: Path) -> None:
    alone, behind = module(TrainSelector(), Selector(16)), module(TrainSelector(), ExplicitAbstention(Selector(16)))
    for made in (alone, behind):
        fit(made, tmp_path, enable_checkpointing=False)
    expected = trained(alone, "confidence.")
    found = trained(behind, "confidence.score.")
    assert len(found) == len(expected) > 0
    assert all(
        torch.equal(value, found[name.replace("confidence.", "confidence.score.")]) for name, value in expected.items()
    )
    with pytest.raises(
        UserError, match=r"objective that trains ExplicitAbstention\(score=Selector.*objective/selector\.yaml"
    ):
        fit(module(SFT(), ExplicitAbstention(Selector(16))), tmp_path)


def test_a_checkpoint_without_a_selector_is_refused_where_one_is_asked_for(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1)
    fit(module(SFT()), tmp_path, 1, callbacks=[kept])
    with pytest.raises(CheckpointError, match=r"missing \(such as confidence\.judge"):
        fit(module(TrainSelector(), Selector(16)), tmp_path, 2, str(tmp_path / "step=1.ckpt"))


def test_a_selector_and_its_objective_belong_together(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"Expected the confidence `Selector` .* got SequenceProbability.*selector\.yaml"
    ):
        fit(module(TrainSelector()), tmp_path)
    with pytest.raises(UserError, match=r"objective that trains Selector\(width=16, dropout=0.1\) but got SFT"):
        fit(module(SFT(), Selector(16)), tmp_path)


@pytest.fixture(scope="module")
def asked():
    made = family(bits=16, lora=None).eval()
    samples = make_scenes("test", 48)
    return made, made.collate(samples, [majority(s) for s in samples])


def test_accuracies_while_training_are_those_of_what_would_be_said(asked) -> None:
    made, rows = asked
    found = teacher_forced_accuracy(made(rows), rows, made, "no_skip").tolist()
    texts = made.generate(rows, 8).texts
    expected = [vqa_accuracy(text, s.answers) for text, s in zip(texts, rows.samples, strict=True)]
    assert 0 < sum(expected) < len(expected)  # some right, some wrong
    differ = [i for i in range(48) if found[i] != pytest.approx(expected[i])]
    assert len(differ) <= 3
    # The base model does not stop yet: what it says begins like somebody's answer and goes on.
    assert all(any(texts[i].startswith(f"{said} ") for said in rows.samples[i].answers) for i in differ)


def test_accuracies_by_hand(asked) -> None:
    """Logits made by hand: what is said follows the target, stops early, or turns to what somebody else said."""
    made, rows = asked
    answers = ("wood",) * 6 + ("stone",) * 3 + ("glass",)
    sample = replace(rows.samples[0], answers=answers)
    batch = made.collate([sample] * 4, ["wood"] * 4)
    output = made(batch)
    logits = torch.full_like(output.answer_logits, -10.0)
    wood, stone, end = (made.answer_tokens(text) for text in ("wood", "stone", "unanswerable"))
    assert len(wood) == 2  # a word and the end token
    for i, (row, label) in enumerate(zip(output.answer_rows.tolist(), output.answer_labels.tolist(), strict=True)):
        first = label == wood[0]
        said = {0: label, 1: stone[0] if first else label, 2: end[0] if first else label, 3: wood[-1]}[row]
        logits[i, said] = 10.0
    found = teacher_forced_accuracy(replace(output, answer_logits=logits), batch, made, "no_skip")
    # Said: wood; stone; a word that nobody said; nothing.
    assert found.tolist() == pytest.approx([vqa_accuracy(t, answers) for t in ("wood", "stone", "x", "")])


def test_scores_do_not_depend_on_the_answers_laid_out(asked) -> None:
    made, rows = asked
    selector = Selector(16).eval()
    selector.prepare(made)
    generated = made.generate(rows, 4)
    blank = made.collate(list(rows.samples), [""] * len(rows))
    scores = [selector(generated, made, batch, 4) for batch in (rows, blank)]
    torch.testing.assert_close(*scores, atol=1e-5, rtol=0)
    assert ((scores[0] > 0) & (scores[0] < 1)).all()


def test_its_candidates_have_its_score_and_follow_the_pictures(asked) -> None:
    """What an attack on the abstainer raises is what would be decided by, and reaches every pixel."""
    made, rows = asked
    few = made.collate(list(rows.samples[:4]), list(rows.targets[:4]))
    selector = Selector(16).eval()
    selector.prepare(made)
    found = answer_candidates(made, selector, few, 4, "no_skip", 0.5)
    pictures = few.images.clone().requires_grad_()
    scores = found.score(pictures)
    confidence = selector(made.generate(few, 4), made, few, 4)
    torch.testing.assert_close(scores.amax(1), confidence.log(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores[:, 0], confidence.log(), atol=1e-4, rtol=1e-4)  # the first is what is said
    (grad,) = torch.autograd.grad(scores.amax(1).sum(), pictures)
    assert (grad.abs().amax(1) > 0).double().mean() > 0.99


def test_autocast_does_not_round_its_judgement(asked) -> None:
    """Of the same features it says the same, to the last bit: what decides without autocast has these thresholds."""
    made, rows = asked
    selector = Selector(16).eval()
    selector.prepare(made)
    with torch.no_grad():
        selector.judge[-1].bias.copy_(torch.tensor([7.0, -7.0]))  # type: ignore[index]  # bfloat16 has 1.0 for these
        output = made(rows)
        expected = selector.logits(output, len(rows))
        with torch.autocast("cpu", torch.bfloat16):
            found = selector.logits(output, len(rows))
            confidence = selector(made.generate(rows, 4), made, rows, 4)
            answers = [[made.answer_tokens(target)] for target in rows.targets]
            scores = selector.candidate_scores(made, rows, answers)
    assert found.dtype == confidence.dtype == scores.dtype == torch.float32
    assert torch.equal(found, expected)
    assert confidence.max() < 1
    assert len(confidence.unique()) > 40  # of 48


def test_it_learns_what_can_be_known() -> None:
    """Right where the logits are sure: after some steps the selector says so."""
    made = family(bits=16, lora=None).eval()
    rows = make_scenes("test", 32)
    batch = made.collate(rows, [majority(s) for s in rows])
    selector = Selector(32, dropout=0.0)
    objective = TrainSelector(train_model=False)
    selector.prepare(made)
    objective.prepare(made, selector)
    with torch.no_grad():
        output = made(batch)
    accuracy = teacher_forced_accuracy(output, batch, made, "no_skip")
    optimizer = torch.optim.AdamW(selector.parameters(), 3e-3)
    first = objective(output, batch).mean()
    for _ in range(60):
        optimizer.zero_grad()
        loss = objective(output, batch).mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * first
    confidence = selector.eval().logits(output, 32)[:, 0].sigmoid()
    assert confidence[accuracy > 0.5].min() > confidence[accuracy == 0].max()


def test_labels_of_peers_are_what_is_learned(asked, tmp_path) -> None:
    made, rows = asked
    few = made.collate(list(rows.samples[:6]), list(rows.targets[:6]))
    accuracies = [0.0, 1.0, 0.3, 0.6, 0.9, 0.0]
    labelled = [replace(p, uid=u, accuracy=a) for p, u, a in zip(predictions(6), few.uids, accuracies, strict=True)]
    path = write(tmp_path / "peers.jsonl", labelled)
    selector, objective = Selector(16, dropout=0.0), TrainSelector(train_model=False, labels=path)
    selector.prepare(made)
    objective.prepare(made, selector)
    with torch.no_grad():
        output = made(few)
        expected = selector_loss(selector.logits(output, 6), torch.tensor(accuracies))
        torch.testing.assert_close(objective(output, few), expected)
        own = selector_loss(selector.logits(output, 6), teacher_forced_accuracy(output, few, made, "no_skip"))
        torch.testing.assert_close(objective.eval()(output, few), own)
    objective.train()
    assert objective.labels is not None
    del objective.labels.accuracies[few.uids[2]]
    with pytest.raises(UserError, match=rf"label for {few.uids[2]} but there is none \(1 missing"):
        objective(output, few)
    path.unlink()  # a trained model is used elsewhere: its checkpoint names labels that are not there
    gone = TrainSelector(train_model=False, labels=path)
    gone.prepare(made, selector)
    with torch.no_grad():
        torch.testing.assert_close(gone.eval()(output, few), own)
    with pytest.raises(UserError, match=rf"Expected `labels` at {path} but there is no such file"):
        gone.train()(output, few)
    write(tmp_path / "unlabelled.jsonl", [replace(labelled[0], accuracy=None)])
    with pytest.raises(UserError, match="has no accuracy; predict a split"):
        TrainSelector(labels=tmp_path / "unlabelled.jsonl")


def test_a_selector_that_is_not_robust_learns_from_clean_rows_alone(asked) -> None:
    made, rows = asked
    selector = Selector(16, dropout=0.0)
    selector.prepare(made)
    attacked = torch.arange(len(rows)) % 3 == 0
    with torch.no_grad():
        output = made(rows)
        losses = {}
        for robust in (True, False):
            objective = TrainSelector(train_model=False, robust=robust)
            objective.prepare(made, selector)
            losses[robust] = objective(output, replace(rows, attacked=attacked))
            torch.testing.assert_close(objective(output, rows), losses[True])  # nobody attacked
    assert torch.equal(losses[False], losses[True] * ~attacked)
    assert (losses[True] > 0).all()


def test_a_selector_that_is_not_robust_needs_clean_rows(asked) -> None:
    made, rows = asked
    selector = Selector(16)
    selector.prepare(made)
    objective = TrainSelector(train_model=False, robust=False)
    objective.prepare(made, selector)
    all_attacked = replace(rows, attacked=torch.ones(len(rows), dtype=torch.bool))
    some = replace(rows, attacked=torch.arange(len(rows)) > 0)
    with torch.no_grad():
        output = made(rows)
        for _ in range(4):
            objective.eval()(output, all_attacked)  # an attacked validation is none of its business
        objective.train()(output, all_attacked)
        with pytest.raises(UserError, match=r"clean row for `robust: false` but all of the first 96 .* mode `mixed`"):
            objective(output, all_attacked)
        mixed = TrainSelector(train_model=False, robust=False)
        mixed.prepare(made, selector)
        mixed(output, some)
        for _ in range(4):  # small batches of `mixed` may be attacked in all their rows
            mixed(output, all_attacked)


def test_adversarial_training_says_which_rows_it_attacked(tmp_path: Path) -> None:
    seen = []

    class Watch(SFT):
        def forward(self, output, batch):
            seen.append((batch.attacked, batch.images, batch.samples))
            return super().forward(output, batch)

    attack = PGD(Linf(8 / 255), steps=1, keep_best=False)
    fit(module(Watch()), tmp_path, 3, enable_checkpointing=False, callbacks=[AdversarialTraining(attack, mode="mixed")])
    assert len(seen) == 3
    for attacked, images, samples in seen:
        clean = torch.stack([torch.from_numpy(sample.image).permute(2, 0, 1) / 255 for sample in samples])
        changed = ((images - clean).abs() > 1e-4).flatten(1).any(1)
        assert attacked.tolist() == changed.tolist()
        assert attacked.sum() == 2


def test_logit_statistics() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -2.0, -3.0], [0.0] * 6])
    found = logit_statistics(logits)
    assert found.shape == (2, LOGIT_STATISTICS)
    p = softmax(logits[0].tolist())
    expected = [*torch.tensor(p[:5]).log().tolist(), p[0] - p[1]]
    assert found[0, :6].tolist() == pytest.approx(expected, rel=1e-5)
    assert float(found[0, 7].exp()) == pytest.approx(float(logits[0].std(correction=0)), rel=1e-5)
    assert found.isfinite().all()
    torch.testing.assert_close(logit_statistics(logits + 9.0), found, atol=1e-5, rtol=1e-5)
    few = torch.tensor([[1.0, 0.0, float("-inf")]])
    assert logit_statistics(few).isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Selector(0), "`width` of at least 1"),
        (lambda: Selector(dropout=1.0), "`dropout` in"),
        (lambda: TrainSelector(weight=0.0), "`weight` in"),
    ],
)
def test_mistakes_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_default_confidence_learns_nothing() -> None:
    assert not list(SequenceProbability().parameters())
