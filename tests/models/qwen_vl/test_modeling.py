"""The transformers interface of the model: what it takes, what it refuses, what must not change its answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lit_vlr.models.qwen_vl import QwenVLForConditionalGeneration, QwenVLProcessor
from tests._qwen_vl import make_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("modeling")
    make_checkpoint(made, seq_length=24)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> QwenVLForConditionalGeneration:
    return QwenVLForConditionalGeneration.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def processor(folder: Path) -> QwenVLProcessor:
    return QwenVLProcessor.from_pretrained(folder)


def pictures(n: int) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 256, (40, 56, 3), dtype=np.uint8) for i in range(n)]


@torch.no_grad()
def test_loss_is_the_cross_entropy_of_the_next_tokens(model, processor) -> None:
    inputs = processor(pictures(1), questions=["What is it?"])
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] > processor.tokenizer.vocab_size, -100)
    outputs = model(**inputs, labels=labels)
    expected = F.cross_entropy(outputs.logits[0, :-1], labels[0, 1:])
    torch.testing.assert_close(outputs.loss, expected)


@torch.no_grad()
def test_features_and_embeddings_can_be_handed_in(model, processor) -> None:
    inputs = processor(pictures(2), questions=["What is it?", "a dog"])
    expected = model(**inputs).logits
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    encoded = model.get_image_features(inputs["pixel_values"])
    embeddings = model.get_input_embeddings()(ids)
    given = (
        {"input_ids": ids, "mm_encoder_outputs": {"image": encoded}},
        {"inputs_embeds": embeddings, "pixel_values": inputs["pixel_values"]},
    )
    for more in given:
        torch.testing.assert_close(model(**more, attention_mask=mask).logits, expected, atol=1e-5, rtol=0)
    last = model(**inputs, logits_to_keep=1).logits
    torch.testing.assert_close(last, expected[:, -1:], atol=1e-5, rtol=0)


@torch.no_grad()
def test_eager_attention_answers_as_sdpa_does(model, processor, folder: Path) -> None:
    eager = QwenVLForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
    assert eager.model.language_model.config._attn_implementation == "eager"
    inputs = processor(pictures(2), questions=["What is it?", "a dog swims in water"])
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(eager(**inputs).logits[real], model(**inputs).logits[real], atol=1e-5, rtol=0)


def test_generation_beyond_the_training_length_does_not_depend_on_the_batch(model, processor) -> None:
    # 24 tokens were trained on; each of these has another base.
    asked = ["", "which dog swims?", "the dog swims in water " * 6]
    texts, images = ["<image>{question}"] * 3, pictures(3)
    options = {"max_new_tokens": 6, "do_sample": False, "output_scores": True, "return_dict_in_generate": True}
    inputs = processor(images, texts, asked)
    lengths = inputs["attention_mask"].sum(1).tolist()
    assert lengths[0] < 24 < lengths[1] < 48 < lengths[2]
    together = model.generate(**inputs, **options)
    for i in range(3):
        alone = model.generate(**processor(images[i], texts[i], asked[i : i + 1]), **options)
        for ours, scores in zip(together.scores, alone.scores, strict=False):
            torch.testing.assert_close(ours[i], scores[0], atol=1e-5, rtol=0)


def test_beams_keep_their_rows_base(model, processor) -> None:
    asked = ["", "the dog swims in water " * 6]
    options = {"max_new_tokens": 4, "num_beams": 3, "do_sample": False}
    inputs = processor(pictures(2), ["<image>{question}"] * 2, asked)
    together = model.generate(**inputs, **options)
    for i in range(2):
        alone = model.generate(**processor(pictures(2)[i], "<image>{question}", asked[i : i + 1]), **options)
        n = min(4, alone.shape[1] - int(inputs["attention_mask"][i].sum()))
        assert together[i, inputs["input_ids"].shape[1] :][:n].tolist() == alone[0, -n:].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_ids": None}, "Expected one of `input_ids` and `inputs_embeds` but got both or neither"),
        ({"mm_encoder_outputs": {"image": 0}}, "Expected one of `pixel_values` and `mm_encoder_outputs` but got both"),
        ({"pixel_values": torch.zeros(2, 3, 64, 64)}, "as many <imgpad> tokens as image features but got 16 and 32"),
        ({"pixel_values": torch.zeros(1, 3, 64, 32)}, r"Expected square pictures .* but got 64 × 32"),
        ({"pixel_values": torch.zeros(1, 3, 65, 65)}, "whole 2-pixel patches but got 65 × 65"),
    ],
)
def test_exception_inputs(model, processor, change, message: str) -> None:
    inputs = processor(pictures(1), questions=["What is it?"])
    with pytest.raises(ValueError, match=message):
        model(**{**inputs, **change})
