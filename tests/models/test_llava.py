"""The family against plain transformers, and what attacks and selective metrics rely on."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoProcessor, LlamaConfig, LlamaForCausalLM, LlavaForConditionalGeneration

from lit_vlr.confidence import sequence_probability
from lit_vlr.errors import UserError
from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.models.quantization import quantized_layers
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.objectives import SFT
from lit_vlr.types import Sample
from tests._tiny import batch, family


@pytest.fixture(scope="module")
def plain() -> Llava:
    return family(bits=16, lora=None).eval()


@pytest.fixture(scope="module")
def quantized() -> Llava:
    return family().eval()


def test_loss_and_logits_equal_the_plain_transformers_forward(plain: Llava) -> None:
    rows = batch(plain, 5)
    reference = LlavaForConditionalGeneration.from_pretrained(TINY_LLAVA, dtype=torch.float32).eval()
    with torch.no_grad():
        output = plain(rows)
        logits = reference(
            input_ids=rows.input_ids, attention_mask=rows.attention_mask, pixel_values=(rows.images - 0.5) / 0.5
        ).logits
    expected = torch.stack([logits[b, t - 1] for b, t in (rows.labels != -100).nonzero().tolist()])
    torch.testing.assert_close(output.answer_logits, expected, atol=1e-5, rtol=1e-5)
    for b in range(5):
        at = (rows.labels[b] != -100).nonzero().flatten()
        loss = F.cross_entropy(logits[b, at - 1], rows.labels[b, at])
        torch.testing.assert_close(SFT()(output, rows)[b], loss, atol=1e-5, rtol=1e-5)


def test_pixel_values_equal_the_saved_processors(plain: Llava) -> None:
    rows = batch(plain, 3)
    processor = AutoProcessor.from_pretrained(TINY_LLAVA)
    pictures = [(image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy() for image in rows.images]
    expected = processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(plain.pixel_inputs(list(rows.images))["pixel_values"], expected, atol=1e-5, rtol=0)


def test_generation_and_confidence_do_not_depend_on_the_batch(quantized: Llava) -> None:
    rows = batch(quantized, 6)  # questions of different length: left padding differs from row to row
    assert len(set(rows.prompt_mask.sum(1).tolist())) > 1
    together = quantized.generate(rows, 6)
    confidence = sequence_probability(together.token_log_probs, together.token_mask)
    for i in range(6):
        alone = quantized.generate(batch(quantized, 1, start=i), 6)
        assert alone.texts[0] == together.texts[i]
        torch.testing.assert_close(
            sequence_probability(alone.token_log_probs, alone.token_mask)[0], confidence[i], atol=1e-4, rtol=1e-3
        )


def test_confidence_is_the_teacher_forced_probability_of_the_generated_answer(quantized: Llava) -> None:
    rows = batch(quantized, 4)
    generated = quantized.generate(rows, 8)
    again = quantized.collate(rows.samples, generated.texts)
    with torch.no_grad():
        output = quantized(again)
    log_probs = output.answer_logits.log_softmax(-1).gather(1, output.answer_labels[:, None])[:, 0]
    expected = torch.zeros(4).index_add(0, output.answer_rows, log_probs).exp()
    found = sequence_probability(generated.token_log_probs, generated.token_mask)
    ended = (generated.token_mask.sum(1) < generated.token_mask.shape[1]) | (found < 0)
    assert ended.any()
    torch.testing.assert_close(found[ended], expected[ended], atol=1e-4, rtol=1e-3)


def test_the_gradient_reaches_every_pixel_through_four_bit_weights(quantized: Llava) -> None:
    rows = batch(quantized, 2)
    quantized.generate(rows, 2)  # a pass without gradients first: that is what broke CPUs with AVX512-BF16
    images = rows.images.clone().requires_grad_()
    loss = SFT()(quantized(rows.with_images(images)), rows).sum()
    (gradient,) = torch.autograd.grad(loss, images)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.999


def test_four_bit_gradients_point_where_those_of_the_dequantised_weights_do(quantized: Llava, plain: Llava) -> None:
    def gradient(made: Llava) -> torch.Tensor:
        rows = batch(made, 4)
        images = rows.images.clone().requires_grad_()
        return torch.autograd.grad(SFT()(made(rows.with_images(images)), rows).sum(), images)[0].flatten(1)

    cosine = F.cosine_similarity(gradient(quantized), gradient(plain))
    assert cosine.median() > 0.9  # NF4 of 128-wide layers is coarser than of 4096-wide ones


def test_quantisation_and_adapters_hit_what_they_should(quantized: Llava) -> None:
    base = quantized.base
    layers = len(base.model.language_model.layers)
    assert len(quantized_layers(base)) == 7 * layers
    assert all(layer.support_avx512bf16_for_cpu is False for layer in quantized_layers(base))
    assert all(q.weight.quant_state.nested and q.weight.quant_state.quant_type == "nf4" for q in quantized_layers(base))
    trained = {n for n, p in quantized.named_parameters() if p.requires_grad}
    towers = {
        "language": r"language_model.*lora_",
        "vision": r"vision_tower.*lora_",
        "projector": r"projector\.modules",
    }
    counts = {tower: sum(bool(re.search(pattern, n)) for n in trained) for tower, pattern in towers.items()}
    blocks = base.config.vision_config.num_hidden_layers
    assert counts == {
        "language": 2 * 7 * layers,
        "vision": 2 * (6 * blocks + 1),
        "projector": 4,
    }  # + 1: the patch embedding
    assert sum(counts.values()) == len(trained)


def test_vision_gets_no_adapter_unless_asked() -> None:
    made = family(lora=Lora(vision=False))
    assert not [n for n, p in made.named_parameters() if p.requires_grad and "vision" in n]


def test_without_quantisation_nothing_is_four_bit(plain: Llava) -> None:
    assert quantized_layers(plain) == []


def test_other_sizes_are_resized_and_stay_in_range(plain: Llava) -> None:
    picture = (torch.arange(60 * 90 * 3) % 256).to(torch.uint8).reshape(60, 90, 3).numpy()
    rows = plain.collate([Sample("u", picture, "i", "What is it?", ("wood",) * 10)], ["wood"])
    assert rows.images.shape == (1, 3, 48, 48)
    assert rows.images.min() >= 0
    assert rows.images.max() <= 1


def test_an_image_token_in_the_question_is_text(plain: Llava) -> None:
    picture = batch(plain, 1).samples[0].image
    rows = plain.collate([Sample("u", picture, "i", "What <image> is it?", ())], [""])
    assert (rows.prompt_ids == plain.config.image_token_id).sum() == plain.image_tokens
    plain.generate(rows, 1)


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(plain: Llava, question: str) -> None:
    picture = batch(plain, 1).samples[0].image
    with pytest.raises(UserError, match="Expected a question but mine/1 has an empty one"):
        plain.collate([Sample("mine/1", picture, "i", question, ())], [""])


def test_exception_missing_model(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it is tried for twenty seconds
    with pytest.raises(UserError, match=r"Expected a model at `name_or_path` 'no/such-model'"):
        Llava("no/such-model").load(torch.device("cpu"))  # constructing it asks no hub


def test_exception_folder_without_config(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no config.json"):
        Llava(str(tmp_path))


def test_exception_other_architecture(tmp_path) -> None:
    config = LlamaConfig(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"Expected a LLaVA checkpoint but .* is of type 'llama'"):
        Llava(str(tmp_path))


@pytest.mark.parametrize("prompt", ["{question}", "<image> what?", "<image><image>{question}"])
def test_exception_prompt(prompt: str) -> None:
    with pytest.raises(UserError, match=r"Expected `prompt` with one <image> and a \{question\}"):
        Llava("tiny-llava", prompt=prompt)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    def gradients(checkpointing: bool) -> torch.Tensor:
        torch.manual_seed(0)  # LoRA's own initialisation
        made = family(gradient_checkpointing=checkpointing).train()
        rows = batch(made, 2)
        SFT()(made(rows), rows).sum().backward()
        return torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None])

    torch.testing.assert_close(gradients(True), gradients(False), atol=1e-6, rtol=1e-4)


def test_a_wrong_skip_list_is_noticed(monkeypatch) -> None:
    # transformers anchors plain names: this list, which reads right, quantises vision and head too.
    monkeypatch.setattr(Llava, "quantization_skip", property(lambda self: ("vision_tower", "multi_modal_projector")))
    with pytest.raises(RuntimeError, match="4-bit layers in the language model only"):
        Llava("tiny-llava", Quantization(), None).load(torch.device("cpu"))
