"""Every family against plain transformers: pictures, prompts, losses, gradients, QLoRA, generation, training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from peft import PeftModel

import lit_vlr.models
from lit_vlr.models import Lora, Quantization
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.objectives import SFT
from lit_vlr.optim import Optimisation, build_optimizer
from tests.models import _checks as checks
from tests.models import _reference as reference
from tests.models._checkpoints import MAKERS, save

NAMES = list(MAKERS)
MIXED = ((16, 16), (40, 24), (20, 90))
EXACT, ROUNDED = 1e-2, 2.0  # of 1/255: without resizing, and with Pillow's rounding to 8 bits in every resize
LOGIT = 2e-5


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(name, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def plain(name: str, folder: Path) -> TransformersFamily:
    return checks.plain(name, folder)


@pytest.fixture(scope="module")
def quantized(name: str, folder: Path) -> TransformersFamily:
    return checks.qlora(name, folder)


def test_pixels_equal_the_image_processors(plain: TransformersFamily, name: str, folder: Path) -> None:
    parts, whole = checks.pixels(plain, name, folder, checks.UNCHANGED.get(name, (16, 16)))
    assert parts < EXACT
    assert whole < ROUNDED
    for size in checks.RESIZED:
        assert max(checks.pixels(plain, name, folder, size)) < ROUNDED


def test_prompts_logits_and_losses_equal_plain_transformers(plain: TransformersFamily, name: str, folder: Path) -> None:
    assert max(checks.parity(plain, name, folder, *MIXED)) < LOGIT
    # With pictures that Pillow has resized and rounded, on random weights.
    assert max(checks.parity(plain, name, folder, *MIXED, own_pixels=False)) < 0.05


def test_the_gradient_reaches_every_pixel_through_four_bit_weights(quantized: TransformersFamily) -> None:
    assert checks.reached(quantized, (16, 16), (40, 24)) > 0.995


def test_quantisation_and_adapters_hit_what_they_should(quantized: TransformersFamily) -> None:
    found = checks.counts(quantized)
    layers = quantized.config.get_text_config().num_hidden_layers
    projector = [p for part in quantized.towers.modules(quantized.base)["projector"] for p in part.parameters()]
    trained = sum(p.numel() for p in projector if p.requires_grad)
    assert found == {"4bit": 7 * layers, "language lora": 2 * 7 * layers, "projector full": trained}
    assert trained == sum(p.numel() for p in projector) / 2  # beside it PEFT keeps the original


def test_vision_gets_adapters_if_asked_and_language_none_if_not(name: str, folder: Path) -> None:
    found = checks.counts(checks.qlora(name, folder, vision=True, language=False, projector=False))
    assert set(found) == {"4bit", "vision lora"}
    assert found["vision lora"] >= 2 * 2 * 4  # two blocks of at least four layers


def test_generation_does_not_depend_on_the_batch(plain: TransformersFamily, quantized: TransformersFamily) -> None:
    assert checks.batch_effect(plain, *MIXED) < 1e-4
    assert checks.batch_effect(quantized, *MIXED) < 1e-4


def test_generation_in_training_mode_sees_the_prompt(plain: TransformersFamily, name: str, folder: Path) -> None:
    # With checkpointing transformers drops the cache in train mode, and answers without the prompt.
    torch.manual_seed(0)
    made = getattr(lit_vlr.models, name)(
        str(folder), Quantization(bits=16), Lora(r=4, dropout=0.5), gradient_checkpointing=True
    )
    made.load(torch.device("cpu"))
    made.train()
    rows = checks.batch(plain, *MIXED)
    assert made.generate(rows, 6).texts == plain.generate(rows, 6).texts  # a new LoRA changes nothing
    assert all(module.training for module in made.modules())


def test_generated_tokens_have_their_teacher_forced_probability(plain: TransformersFamily) -> None:
    rows = checks.batch(plain, *MIXED)
    found = plain.generate(rows, 5)
    tokens = [row[:n] for row, n in zip(found.tokens.tolist(), found.token_mask.sum(1).tolist(), strict=True)]
    with torch.no_grad():
        expected = plain.answer_log_probs(rows, [[t, t[:1]] for t in tokens])
    torch.testing.assert_close(found.token_log_probs.sum(1), expected[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.token_log_probs[:, 0], expected[:, 1], atol=1e-4, rtol=1e-4)


def test_several_answers_to_one_prompt_score_as_each_alone(plain: TransformersFamily) -> None:
    rows = checks.batch(plain, *MIXED)
    texts = [["red", "a yellow banana"], ["no"], ["blue", "x", "bright green"]]
    answers = [[plain.answer_tokens(text) for text in row] for row in texts]
    with torch.no_grad():
        found = plain.answer_log_probs(rows, answers)
        for i, row in enumerate(texts):
            for k, text in enumerate(row):
                alone = plain.collate([rows.samples[i]], [text])
                output = plain(alone)
                log_probs = output.answer_logits.log_softmax(-1).gather(1, output.answer_labels[:, None])
                torch.testing.assert_close(found[i, k], log_probs.sum(), atol=1e-4, rtol=1e-4)
    assert found[1, 1:].isneginf().all()


def test_an_answer_may_say_a_placeholder(plain: TransformersFamily) -> None:
    rows = checks.batch(plain, (16, 16), (40, 24))
    said = [plain.config.image_token_id, plain.end]
    with torch.no_grad():
        found = plain.answer_log_probs(rows, [[said, said[:1]], [said[:1]]])
        assert found[0].isfinite().all()
        assert torch.allclose(found[1, 0], plain.answer_log_probs(rows, [[said], [said[:1]]])[1, 0], atol=1e-4)


def test_features_serve_several_questions_on_one_picture(plain: TransformersFamily) -> None:
    image = checks.picture(40, 24)
    asked = [sample.question for sample in checks.samples(MIXED)]
    rows = plain.collate(
        [checks.Sample(f"q/{i}", image, "one", text, ("red",)) for i, text in enumerate(asked)], ["red", "no", "it is"]
    )
    features = plain.encode_images(rows.images[:1]).repeat(3)
    with torch.no_grad():
        expected, found = plain(rows), plain(rows, features=features)
    torch.testing.assert_close(found.answer_logits, expected.answer_logits, atol=LOGIT, rtol=0)
    torch.testing.assert_close(found.image_features, expected.image_features, atol=LOGIT, rtol=0)
    assert plain.generate(rows, 4, features=features).texts == plain.generate(rows, 4).texts


def test_sampling_ranks_and_options_run_on_mixed_sizes(plain: TransformersFamily) -> None:
    rows = checks.batch(plain, *MIXED)
    k = 3
    ranked = plain.alternatives(rows, 3, k)
    assert ranked.texts[::k] == plain.generate(rows, 3).texts
    prompts = [f"<image>{sample.question} (A) yes (B) no: (" for sample in rows.samples]
    options = plain.option_log_probs(rows, prompts, ["A", "B"])
    for i in range(len(rows)):  # padding changes nothing
        one = plain.collate([rows.samples[i]], [""])
        torch.testing.assert_close(plain.option_log_probs(one, prompts[i : i + 1], ["A", "B"])[0], options[i])


def test_an_attack_raises_the_loss(quantized: TransformersFamily) -> None:
    clean, worse = checks.attacked(quantized)
    assert worse > clean + 0.01


def test_bfloat16_with_checkpointing_is_close_to_float32(plain: TransformersFamily, name: str, folder: Path) -> None:
    half = Quantization(bits=16, compute_dtype="bfloat16")
    made = getattr(lit_vlr.models, name)(str(folder), half, Lora(r=4, dropout=0.0), gradient_checkpointing=True)
    made.load(torch.device("cpu"))
    made.train()
    rows = checks.batch(plain, (16, 16), (40, 24))
    images = [image.clone().requires_grad_() for image in rows.images]
    with torch.autocast("cpu", torch.bfloat16):
        losses = SFT()(made(rows.with_images(images)), rows)
    torch.testing.assert_close(losses, SFT()(plain(rows), rows), atol=0.05, rtol=0)
    assert all(g.isfinite().all() and g.any() for g in torch.autograd.grad(losses.sum(), images))


def test_one_adversarial_training_step_changes_what_it_should(name: str, folder: Path, tmp_path: Path) -> None:
    changed, wanted = checks.train_a_step(checks.qlora(name, folder), tmp_path)
    assert changed == wanted


def test_the_head_sees_answer_positions_only(plain: TransformersFamily) -> None:
    rows = checks.batch(plain, *MIXED)
    seen: list[tuple[int, ...]] = []
    hook = plain.base.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    output = plain(rows)
    hook.remove()
    assert seen == [(int((rows.labels != -100).sum()), plain.config.get_text_config().hidden_size)]
    assert output.answer_labels.tolist() == rows.labels[rows.labels != -100].tolist()


def test_a_saved_adapter_is_loaded_by_plain_peft(name: str, folder: Path, tmp_path: Path) -> None:
    made = checks.qlora(name, folder, vision=True)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    made.save_adapter(str(tmp_path))
    again = dict(PeftModel.from_pretrained(reference.plain_model(folder), tmp_path).named_parameters())
    trained = {n: p for n, p in made.model.named_parameters() if p.requires_grad}
    assert len(trained) > 20
    assert all(torch.equal(again[n], p) for n, p in trained.items())


def test_every_tower_learns_at_its_own_rate(name: str, folder: Path) -> None:
    made = checks.qlora(name, folder, vision=True)
    rates = Optimisation(lr=1e-3, projector_lr=1e-4, vision_lr=1e-5)
    trained = {n: p for n, p in made.named_parameters() if p.requires_grad}
    optimizer = build_optimizer(trained, rates, 100, made.tower_of)["optimizer"]
    found = {id(p): group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    expected = {"language": 1e-3, "projector": 1e-4, "vision": 1e-5}
    towers = {n: made.tower_of(n) for n in trained}
    assert set(towers.values()) == set(expected)
    assert all(found[id(p)] == expected[str(towers[n])] for n, p in trained.items())


def test_naive_targets_would_hit_the_vision_tower(plain: TransformersFamily) -> None:
    vision = [n for n, _ in plain.base.named_modules() if plain.tower_of(n) in ("vision", "projector")]
    assert not [n for n in vision if re.fullmatch(plain.language_targets, n)]
    if type(plain).__name__ in ("Llava", "LlavaNext", "LlavaOnevision", "PaliGemma", "Gemma3", "InternVL", "Idefics3"):
        assert [n for n in vision if n.endswith(".q_proj")]
    if type(plain).__name__ == "Qwen25VL":
        assert [n for n in vision if n.endswith(".gate_proj")]


def test_an_anchored_skip_list_is_noticed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # transformers anchors plain names: this list, which reads right, quantises vision and projector too.
    names = property(lambda self: tuple(n.removeprefix("model.") for n in self.towers.vision + self.towers.projector))
    monkeypatch.setattr(getattr(lit_vlr.models, name), "quantization_skip", names)
    with pytest.raises(RuntimeError, match="4-bit layers in the language model only"):
        checks.qlora(name, folder)


def test_lora_that_trains_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected adapters on `language` or `vision`"):
        Lora(language=False)
