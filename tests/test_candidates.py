"""The candidates of a vision-language model: their scores are its own confidence, and nothing depends on the batch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from lit_vlr.candidates import ALTERNATIVES, answer_candidates
from lit_vlr.confidence import MinTokenProbability, SequenceProbability
from lit_vlr.errors import UserError
from lit_vlr.functional import vqa_accuracy
from lit_vlr.models import Llava
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.models.tokens import pack_answers
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.types import Batch
from lit_vlr_callbacks import Candidates, SupportsAbstentionAttack, attack_batch
from lit_vlr_callbacks.attacks import PGD, EitherFailure, ForceAbstention, WrongAndConfident
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import batch, family

N, TOKENS = 6, 4
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}  # of log-probabilities down to -20
INF = math.inf


@pytest.fixture(scope="module", params=[16, 4], ids=["float32", "nf4"])
def made(request: pytest.FixtureRequest) -> SelectiveVLM:
    return SelectiveVLM(family(bits=request.param, lora=None), SFT(), max_new_tokens=TOKENS).eval()


@pytest.fixture(scope="module")
def plain() -> Llava:
    return family(bits=16, lora=None).eval()


def candidates_of(made: SelectiveVLM, rows: Batch, threshold: float | None = None) -> Candidates:
    return made.attack_candidates(rows.images, rows, threshold)


def test_the_first_candidate_is_the_answer_and_its_score_the_log_of_its_confidence(made: SelectiveVLM) -> None:
    assert isinstance(made, SupportsAbstentionAttack)
    rows = batch(made.family, N)
    found = candidates_of(made, rows)
    predictions = made.answer(rows)
    assert found.given.tolist() == [0] * N
    with torch.no_grad():
        scores = found.score(rows.images)
    expected = torch.tensor([math.log(p.confidence) for p in predictions])
    torch.testing.assert_close(scores[:, 0], expected, **TOLERANCE)
    assert found.correctness[:, 0].tolist() == pytest.approx([p.accuracy for p in predictions])


def test_scores_follow_the_pictures_as_the_models_confidence_does(made: SelectiveVLM) -> None:
    rows = batch(made.family, N)
    found = candidates_of(made, rows)
    other = rows.images.roll(1, 0)
    answers = made.family.generate(rows.with_images(other), TOKENS)
    again = made.attack_candidates(other, rows)
    with torch.no_grad():
        before, after = found.score(other), again.score(other)
    confidence = answers.token_log_probs.sum(1)
    torch.testing.assert_close(after[:, 0], confidence, **TOLERANCE)
    assert not torch.allclose(before, found.score(rows.images))


def test_scores_equal_one_plain_teacher_forced_pass_a_candidate(plain: Llava) -> None:
    reference = LlavaForConditionalGeneration.from_pretrained(TINY_LLAVA, dtype=torch.float32).eval()
    rows = batch(plain, 3)
    answers = [
        [plain.answer_tokens(text) for text in ("red", "a yellow banana", "unanswerable")],
        [plain.answer_tokens("two")[:1]],  # cut off: no end token
        [plain.answer_tokens("it floats"), [plain.tokenizer.eos_token_id]],
    ]
    with torch.no_grad():
        found = plain.answer_log_probs(rows, answers)
    assert found.shape == (3, 3)
    for i, choices in enumerate(answers):
        prompt = rows.prompt_ids[i][rows.prompt_mask[i].bool()].tolist()
        for k, answer in enumerate(choices):
            with torch.no_grad():
                logits = reference(
                    input_ids=torch.tensor([prompt + answer]), pixel_values=(rows.images[i : i + 1] - 0.5) / 0.5
                ).logits[0]
            expected = 0.0
            for t, token in enumerate(answer):
                row = logits[len(prompt) + t - 1].double()
                expected += float(row[token] - torch.logsumexp(row, 0))
            assert float(found[i, k]) == pytest.approx(expected, abs=1e-4)
        assert found[i, len(choices) :].tolist() == [-INF] * (3 - len(choices))


def test_eager_attention_gives_the_same_scores(plain: Llava) -> None:
    rows = batch(plain, 3)
    answers = [[plain.answer_tokens(text) for text in ("red", "a yellow banana")]] * 3
    language = plain.base.model.language_model
    before = language.config._attn_implementation
    with torch.no_grad():
        expected = plain.answer_log_probs(rows, answers)
        try:
            language.config._attn_implementation = "eager"
            torch.testing.assert_close(plain.answer_log_probs(rows, answers), expected, **TOLERANCE)
            language.config._attn_implementation = "flash_attention_2"
            with pytest.raises(UserError, match=r"Expected attention `sdpa` or `eager`.*'flash_attention_2'"):
                plain.answer_log_probs(rows, answers)
        finally:
            language.config._attn_implementation = before


def test_no_candidate_depends_on_the_other_rows(made: SelectiveVLM) -> None:
    rows = batch(made.family, N)
    assert len(set(rows.prompt_mask.sum(1).tolist())) > 1
    together = candidates_of(made, rows)
    with torch.no_grad():
        scores = together.score(rows.images)
    for i in range(N):
        one = batch(made.family, 1, start=i)
        alone = candidates_of(made, one)
        k = alone.correctness.shape[1]
        assert torch.equal(alone.correctness[0], together.correctness[i, :k])
        with torch.no_grad():
            torch.testing.assert_close(alone.score(one.images)[0], scores[i, :k], **TOLERANCE)
        assert (scores[i, k:] == -INF).all()


def test_every_answer_of_the_annotators_and_enough_wrong_ones_are_among_them(plain: Llava) -> None:
    rows = batch(plain, N)
    module = SelectiveVLM(plain, SFT(), max_new_tokens=TOKENS)
    found = candidates_of(module, rows)
    for i, sample in enumerate(rows.samples):
        right = max(vqa_accuracy(text, sample.answers) for text in sample.answers)
        assert float(found.correctness[i].max()) == pytest.approx(right)
    with torch.no_grad():
        is_wrong = (found.correctness == 0) & (found.score(rows.images) > -INF)
    assert (is_wrong.sum(1) >= ALTERNATIVES // 2).all()


def test_alternatives_begin_with_the_likeliest_tokens_and_go_on_greedily(plain: Llava) -> None:
    rows = batch(plain, 3)
    found = plain.alternatives(rows, TOKENS, 3)
    greedy = plain.generate(rows, TOKENS)
    assert found.texts[::3] == greedy.texts
    for i in range(3):
        prompt = rows.prompt_ids[i][rows.prompt_mask[i].bool()]
        pixels = (rows.images[i : i + 1] - 0.5) / 0.5
        with torch.no_grad():
            first = plain.base(input_ids=prompt[None], pixel_values=pixels).logits[0, -1].topk(3).indices.tolist()
        for j in range(3):
            ids = [*prompt.tolist(), first[j]]
            while ids[-1] != plain.tokenizer.eos_token_id and len(ids) < len(prompt) + TOKENS:
                with torch.no_grad():
                    logits = plain.base(input_ids=torch.tensor([ids]), pixel_values=pixels).logits[0, -1]
                ids.append(int(logits.argmax()))
            row = 3 * i + j
            assert found.tokens[row, : int(found.token_mask[row].sum())].tolist() == ids[len(prompt) :]


def test_the_gradient_reaches_every_pixel(made: SelectiveVLM) -> None:
    rows = batch(made.family, 2)
    found = candidates_of(made, rows)
    images = rows.images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(found.score(images)[:, :3].sum(), images)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.999


def test_the_threshold_is_the_logarithm_of_the_one_in_force(plain: Llava) -> None:
    module = SelectiveVLM(plain, SFT(), max_new_tokens=TOKENS)
    rows = batch(plain, 1)
    assert candidates_of(module, rows).threshold == -INF
    module.threshold.fill_(0.7)
    assert candidates_of(module, rows).threshold == pytest.approx(math.log(0.7))
    for given, expected in ((0.2, math.log(0.2)), (0.0, -INF), (-INF, -INF), (INF, INF)):
        assert candidates_of(module, rows, given).threshold == expected


def test_attacks_move_decisions_as_they_are_meant_to(plain: Llava) -> None:
    # The base model was never taught to stop behind the answer: its first word is the answer, and often right.
    module = SelectiveVLM(plain, SFT(), max_new_tokens=1).eval()
    rows = batch(plain, 24)
    clean = module.answer(rows)
    module.threshold.fill_(sorted(p.confidence for p in clean)[6])
    clean = module.answer(rows)
    right = [bool(p.accuracy) and not p.abstained for p in clean]
    assert sum(right) > 5
    attack = PGD(Linf("4/255"), steps=5)
    after = {}
    for objective in (WrongAndConfident(), ForceAbstention(), EitherFailure()):
        result = attack_batch(module, rows, attack, objective=objective)
        after[type(objective)] = module.answer(rows.with_images(result.images))
        if isinstance(objective, ForceAbstention):
            unchanged = (result.images == rows.images).flatten(1).all(1).tolist()
            assert unchanged == [not r for r in right]
            assert result.success.any()
    failed = [not p.abstained and p.accuracy == 0 for p in after[WrongAndConfident]]
    assert sum(failed) > sum(not p.abstained and p.accuracy == 0 for p in clean)
    withheld = [r and p.abstained for r, p in zip(right, after[ForceAbstention], strict=True)]
    assert sum(withheld) >= sum(right) / 2


def test_what_cannot_be_attacked_is_refused_with_a_remedy(plain: Llava) -> None:
    rows = batch(plain, 2)
    with pytest.raises(UserError, match=r"how sure an answer would be, but MinTokenProbability.. does not;"):
        answer_candidates(plain, MinTokenProbability(), rows, TOKENS, "no_skip", 0.5)
    unlabelled = replace(rows, samples=(rows.samples[0], replace(rows.samples[1], answers=())))
    with pytest.raises(UserError, match=f"annotators' answers but {rows.samples[1].uid} has none; attack a split with"):
        answer_candidates(plain, SequenceProbability(), unlabelled, TOKENS, "no_skip", 0.5)


def test_packed_answers_see_the_prompt_and_themselves() -> None:
    """Token by token: what each may attend to is what stands before it in its own sequence."""
    prompts, answers = [[1, 2, 3], [4]], [[[5, 9], [6, 7, 8, 9]], [[7, 9]]]
    packed = pack_answers(prompts, answers, pad=0)
    assert packed.input_ids.tolist() == [[1, 2, 3, 5, 6, 7, 8], [4, 7, 0, 0, 0, 0, 0]]
    seen = {}
    for row, place, answer, label in zip(*(t.tolist() for t in packed[3:]), strict=True):
        attended = packed.allowed[row, place].nonzero().flatten()
        context = packed.input_ids[row, attended].tolist()
        assert packed.position_ids[row, attended].tolist() == list(range(len(context)))
        seen.setdefault((row, answer), []).append((context, label))
    for (row, answer), steps in seen.items():
        tokens = answers[row][answer]
        assert steps == [(prompts[row] + tokens[:t], tokens[t]) for t in range(len(tokens))]
    assert len(seen) == 3
