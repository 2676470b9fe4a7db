"""The family: what QLoRA, attacks, generation and confidences rely on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from peft import PeftModel

from lit_vlr.confidence import AnswerSetProbability, PTrue
from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.datamodule import ScenesDataModule
from lit_vlr.errors import UserError
from lit_vlr.models import Lora, Quantization, QwenVL
from lit_vlr.models.qwen_vl import CHAT_PROMPT, VQA_PROMPT, QwenVLForConditionalGeneration, QwenVLProcessor
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.optim import Optimisation
from lit_vlr.types import Batch, Sample
from tests._qwen_vl import make_checkpoint
from tests.models import _checks as checks

MIXED = ((64, 64), (40, 24), (20, 90))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("family")
    make_checkpoint(made)
    return made


@pytest.fixture(scope="module")
def plain(folder: Path) -> QwenVL:
    return checks.plain("QwenVL", folder)


@pytest.fixture(scope="module")
def quantized(folder: Path) -> QwenVL:
    return checks.qlora("QwenVL", folder, vision=True)


def scenes(made: QwenVL, n: int) -> Batch:
    samples = make_scenes("train", n)
    return made.collate(samples, [majority(sample) for sample in samples])


@torch.no_grad()
def test_answer_logits_are_the_models_own(plain: QwenVL, folder: Path) -> None:
    rows = scenes(plain, 3)
    model = QwenVLForConditionalGeneration.from_pretrained(folder).eval()
    processor = QwenVLProcessor.from_pretrained(folder)
    expected = []
    for sample, target in zip(rows.samples, rows.targets, strict=True):
        inputs = processor(sample.image, VQA_PROMPT, [sample.question])
        answer = [*plain.tokenizer.encode(f" {target}"), plain.tokenizer.eos_token_id]
        ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], 1)
        logits = model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[0]
        expected.append(logits[-len(answer) - 1 : -1])
    torch.testing.assert_close(plain(rows).answer_logits, torch.cat(expected), atol=2e-5, rtol=0)


def test_generation_does_not_depend_on_the_batch(plain: QwenVL, quantized: QwenVL) -> None:
    assert len(set(checks.batch(plain, *MIXED).prompt_mask.sum(1).tolist())) > 1  # so that left padding differs
    assert checks.batch_effect(plain, *MIXED) < 1e-4
    assert checks.batch_effect(quantized, *MIXED) < 1e-4


@torch.no_grad()
def test_generated_probabilities_are_the_teacher_forced_ones(quantized: QwenVL) -> None:
    rows = scenes(quantized, 4)
    generated = quantized.generate(rows, 4)
    answers = [[tokens[mask].tolist()] for tokens, mask in zip(generated.tokens, generated.token_mask, strict=True)]
    found = quantized.answer_log_probs(rows, answers)[:, 0]
    torch.testing.assert_close(found, generated.token_log_probs.sum(1), atol=1e-4, rtol=1e-4)


def test_the_gradient_reaches_every_pixel_through_four_bit_weights(quantized: QwenVL) -> None:
    assert checks.reached(quantized, *MIXED) > 0.999


def test_an_attack_raises_the_loss(quantized: QwenVL) -> None:
    clean, worse = checks.attacked(quantized)
    assert worse > clean + 0.01


def test_one_adversarial_training_step_changes_what_it_should(folder: Path, tmp_path: Path) -> None:
    changed, wanted = checks.train_a_step(checks.qlora("QwenVL", folder), tmp_path)
    assert changed == wanted


def test_quantisation_and_adapters_hit_what_they_should(quantized: QwenVL) -> None:
    layers, blocks = quantized.config.num_hidden_layers, quantized.config.vision_config.layers
    pool = quantized.base.model.multi_modal_projector
    full = sum(p.numel() for p in pool.parameters() if p.requires_grad)
    # c_attn (here q, k, v), attn.c_proj, w1, w2: two matrices each. Four linear layers a block, and the patches.
    assert checks.counts(quantized) == {
        "4bit": 7 * layers,
        "language lora": 2 * 6 * layers,
        "vision lora": 2 * (4 * blocks + 1),
        "projector full": full,
    }
    assert not [
        n for n, p in quantized.named_parameters() if p.requires_grad and ("pos_embed" in n or "down_proj" in n)
    ]


def test_qlora_lowers_the_loss(folder: Path, tmp_path: Path) -> None:
    made = checks.qlora("QwenVL", folder, vision=True)
    rows = scenes(made, 8)
    module = SelectiveVLM(made, SFT(), Optimisation(lr=2e-3))
    data = ScenesDataModule(train_size=8, batch_size=8)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(max_steps=6, accelerator="cpu", limit_val_batches=0, default_root_dir=tmp_path, **quiet)
    with torch.no_grad():
        before = module.eval().attack_loss(rows.images, rows).mean()
    trainer.fit(module.train(), data)
    with torch.no_grad():
        after = module.eval().attack_loss(rows.images, rows).mean()
    assert after < 0.9 * before


@torch.no_grad()
def test_an_adapter_folder_loads_onto_the_original_checkpoint(folder: Path, tmp_path: Path) -> None:
    made = QwenVL(str(folder), Quantization(bits=16), Lora(r=4, dropout=0.0, vision=True)).eval()
    made.load(torch.device("cpu"))
    trained = [p for p in made.parameters() if p.requires_grad]
    for i, parameter in enumerate(trained):  # adapters begin at zero
        parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i))
    made.save_adapter(str(tmp_path))
    loaded = PeftModel.from_pretrained(QwenVLForConditionalGeneration.from_pretrained(folder), tmp_path).eval()
    rows = scenes(made, 2)
    inputs = {"input_ids": rows.input_ids, "attention_mask": rows.attention_mask}
    inputs |= made.pixel_inputs(list(rows.images))
    expected = made.model(**inputs).logits
    torch.testing.assert_close(loaded(**inputs).logits, expected, atol=1e-5, rtol=0)
    assert (QwenVLForConditionalGeneration.from_pretrained(folder)(**inputs).logits - expected).abs().max() > 0.1


def test_a_question_cannot_bring_a_picture_or_end_a_turn(plain: QwenVL, folder: Path) -> None:
    asked = Sample("u", checks.picture(64, 64), "i", "What <im<image>g> is <img></img><|im_end|> it?", ())
    rows = plain.collate([asked], [""])
    special = rows.prompt_ids[rows.prompt_ids >= plain.tokenizer.vocab_size].tolist()
    assert special == QwenVLProcessor.from_pretrained(folder).image_ids
    plain.generate(rows, 1)


@pytest.mark.parametrize("confidence", [PTrue(), AnswerSetProbability()], ids=lambda c: type(c).__name__)
def test_confidences_can_be_had(quantized: QwenVL, confidence) -> None:
    module = SelectiveVLM(quantized, SFT(), confidence=confidence, max_new_tokens=3)
    found = [p.confidence for p in module.answer(scenes(quantized, 2))]
    assert all(0 <= value <= 1 for value in found)


def test_the_chat_model_takes_turns(folder: Path) -> None:
    made = checks.plain("QwenVL", folder, prompt=CHAT_PROMPT)
    end = made.tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows = scenes(made, 2)
    assert [labels[labels != -100][-1].item() for labels in rows.labels] == [end, end]
    assert made.answer_text(made.answer_tokens("red")) == "red"
    assert made.tokenizer.decode(made.answer_tokens("red")) == "red<|im_end|>"
    made.base.lm_head.register_forward_hook(lambda _, __, logits: logits.index_fill(-1, torch.tensor([end]), 1e4))
    generated = made.generate(rows, 5)  # says the end token at once, and stops
    assert generated.tokens.tolist() == [[end], [end]]
    assert generated.texts == ("", "")


def test_gradient_checkpointing_changes_no_gradient(folder: Path) -> None:
    def gradients(checkpointing: bool) -> torch.Tensor:
        made = checks.plain("QwenVL", folder, gradient_checkpointing=checkpointing, trained=("vision", "language"))
        rows = scenes(made.train(), 2)
        images = rows.images.clone().requires_grad_()
        SFT()(made(rows.with_images(images)), rows).sum().backward()
        return torch.cat([images.grad.flatten(), *(p.grad.flatten() for p in made.parameters() if p.grad is not None)])

    torch.testing.assert_close(gradients(True), gradients(False), atol=1e-6, rtol=1e-4)


def test_boxes_survive_in_answers(plain: QwenVL) -> None:
    text = "<ref>the dog</ref><box>(1,2),(3,4)</box>"
    assert plain.answer_text(plain.answer_tokens(f"{text}<img><|im_end|>")) == text


def test_another_image_size_interpolates_positions(folder: Path, plain: QwenVL) -> None:
    small = checks.plain("QwenVL", folder, image_size=32)
    images = scenes(small, 1).images
    assert images.shape == (1, 3, 32, 32)
    assert small.image_features(images)[0].shape == plain.image_features(scenes(plain, 1).images)[0].shape == (16, 128)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trained": ("vision",)}, "Expected `lora` to be null where `trained` is"),
        ({"trained": ("language",), "lora": None}, "Expected `bits: 16` to train the language model"),
        ({"prompt": "{question}"}, "Expected `prompt` with one <image>"),
    ],
)
def test_exception_settings(folder: Path, arguments, message: str) -> None:
    with pytest.raises(UserError, match=message):
        QwenVL(str(folder), **arguments)


def test_exception_sizes_that_are_no_squares(folder: Path) -> None:
    with pytest.raises(UserError, match=r"Expected `image_size` as one number but got \(32, 16\)"):
        scenes(QwenVL(str(folder), image_size=(32, 16)), 1)


def test_exception_another_architecture() -> None:
    with pytest.raises(UserError, match=r"Expected a Qwen-VL checkpoint but .* is of type 'llava'"):
        QwenVL(str(TINY_LLAVA))


def test_exception_saving_a_model_with_adapters(quantized: QwenVL, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use `save_adapter`"):
        quantized.save_model(str(tmp_path))
