"""Logits against plain PyTorch written from the model's description, with the original tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lit_vlr.models.qwen_vl import QwenVLForConditionalGeneration, QwenVLProcessor
from lit_vlr.models.qwen_vl.language import logn_scale, ntk_alpha
from lit_vlr.models.qwen_vl.positions import resize_positions, sine_cosine_positions
from tests._qwen_vl import made_up_ranks, make_checkpoint, original_config, sine_cosine
from tests.oracles import qwen_vl as oracle

ATOL = 2e-5  # logits have a spread of 1


def picture(seed: int = 0, height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Case:
    """A checkpoint on disk, its tensors, and what loads from it."""

    def __init__(self, folder: Path, **changes) -> None:
        self.weights = make_checkpoint(folder, **changes)
        self.config = original_config(len(made_up_ranks()), **changes)
        self.model = QwenVLForConditionalGeneration.from_pretrained(folder).eval()
        self.processor = QwenVLProcessor.from_pretrained(folder)

    def oracle(self, tokens: torch.Tensor, pictures=(), **kwargs) -> torch.Tensor:
        return oracle.logits(self.weights, self.config, tokens.tolist(), pictures, **kwargs)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    return Case(tmp_path_factory.mktemp("parity"))


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Case:
    """Trained on 16 tokens: everything beyond needs dynamic NTK and logn."""
    return Case(tmp_path_factory.mktemp("short"), seq_length=16)


@pytest.mark.parametrize("side", [64, 32, 20], ids=["positions enlarged", "as stored", "made smaller"])
@torch.no_grad()
def test_logits_of_a_picture_and_a_question(case: Case, side: int) -> None:
    processor = QwenVLProcessor(case.processor.tokenizer, side, 16)
    inputs = processor(picture(), questions=["What is the colour?"])
    expected = case.oracle(inputs["input_ids"][0], inputs["pixel_values"])
    found = case.model(**inputs).logits[0]
    assert expected.std() > 0.5  # nothing collapsed
    torch.testing.assert_close(found.double(), expected, atol=ATOL, rtol=0)


@torch.no_grad()
def test_logits_with_several_heads_everywhere(tmp_path) -> None:
    visual = {"output_dim": 256, "heads": 4, "width": 96, "layers": 3}
    wide = Case(tmp_path, hidden_size=256, num_attention_heads=4, visual=visual)
    inputs = wide.processor(picture(), questions=["What is this?"])
    expected = wide.oracle(inputs["input_ids"][0], inputs["pixel_values"])
    torch.testing.assert_close(wide.model(**inputs).logits[0].double(), expected, atol=ATOL, rtol=0)


@torch.no_grad()
def test_logits_of_padded_rows_and_two_pictures_in_one(case: Case) -> None:
    texts = ["<image>Answer:", "Picture 1: <image>\nPicture 2: <image>\nthe dog"]
    inputs = case.processor([picture(1), picture(2), picture(3)], texts)
    logits, pixels = case.model(**inputs).logits, inputs["pixel_values"]
    for row, pictures in enumerate((pixels[:1], pixels[1:])):
        real = inputs["attention_mask"][row].bool()
        expected = case.oracle(inputs["input_ids"][row][real], pictures)
        torch.testing.assert_close(logits[row][real].double(), expected, atol=ATOL, rtol=0)


@pytest.mark.parametrize(("ntk", "logn"), [(True, True), (True, False), (False, True), (False, False)])
@torch.no_grad()
def test_logits_beyond_the_training_length(short: Case, ntk: bool, logn: bool, monkeypatch) -> None:
    text = short.model.model.language_model.config
    for name, value in (("use_dynamic_ntk", ntk), ("use_logn_attn", logn)):
        monkeypatch.setattr(text, name, value)
        monkeypatch.setitem(short.config, name, value)
    tokens = torch.arange(40) % 250
    found = short.model(input_ids=tokens[None]).logits[0]
    torch.testing.assert_close(found.double(), short.oracle(tokens), atol=ATOL, rtol=0)


@torch.no_grad()
def test_both_change_something_there_and_nothing_before(short: Case) -> None:
    tokens = torch.arange(40) % 250
    long, plain = short.oracle(tokens), short.oracle(tokens, training=True)
    assert (long - plain).abs().max() > 0.01
    torch.testing.assert_close(short.oracle(tokens[:16]), plain[:16])


@torch.no_grad()
def test_training_scales_nothing(short: Case) -> None:
    tokens = torch.arange(40) % 250
    short.model.train()
    try:
        found = short.model(input_ids=tokens[None]).logits[0]
    finally:
        short.model.eval()
    torch.testing.assert_close(found.double(), short.oracle(tokens, training=True), atol=ATOL, rtol=0)


@torch.no_grad()
def test_generation_keeps_the_base_of_its_prompt(short: Case) -> None:
    # 30 tokens take alpha 3 (up to 32), 36 would take 7: the cache holds keys that were rotated with 3.
    prompt = (torch.arange(30) * 7) % 250
    step = short.model(input_ids=prompt[None], use_cache=True)
    tokens = prompt
    for _ in range(6):
        nearest = step.logits[0, -1].argmax()[None]
        tokens = torch.cat([tokens, nearest])
        step = short.model(input_ids=nearest[None], past_key_values=step.past_key_values, use_cache=True)
        expected = short.oracle(tokens, prompt=30)[-1]
        torch.testing.assert_close(step.logits[0, -1].double(), expected, atol=ATOL, rtol=0)
    assert (expected - short.oracle(tokens)[-1]).abs().max() > 0.001


@torch.no_grad()
def test_a_long_neighbour_changes_no_short_row(short: Case) -> None:
    # The original counts padding as length, so that there a row's answer depends on its neighbours.
    texts = ["the dog", "the dog swims in water " * 4]
    inputs = short.processor(text=texts)
    assert inputs["attention_mask"].sum(1).tolist()[0] < 16 < inputs["attention_mask"].shape[1]
    real = inputs["attention_mask"][0].bool()
    found = short.model(**inputs).logits[0][real]
    torch.testing.assert_close(found.double(), short.oracle(inputs["input_ids"][0][real]), atol=ATOL, rtol=0)


def test_ntk_and_logn_at_the_released_length() -> None:
    # By hand: alpha = 2^ceil(log2(L / 2048) + 1) - 1, at least 1; logn = log(p + 1) / log(2048).
    assert ntk_alpha(torch.tensor([1, 2048, 2049, 4096, 4097, 8192]), 2048).tolist() == [1, 1, 3, 3, 7, 7]
    scale = logn_scale(torch.tensor([0, 2047, 2048, 4095]), 2048)
    assert scale[:2].tolist() == [1.0, 1.0]
    assert scale[2] > 1
    assert scale[3].item() == pytest.approx(12 / 11)


@pytest.mark.parametrize("width", [8, 128])
def test_sine_cosine_positions_are_those_of_a_loop(width: int) -> None:
    torch.testing.assert_close(sine_cosine_positions(width, 4), sine_cosine(width, 4))


@pytest.mark.parametrize(("have", "want"), [(16, 32), (16, 10), (4, 32)])
def test_resized_positions_are_those_of_a_loop(have: int, want: int) -> None:
    grid = torch.randn(have * have, 6, dtype=torch.float32)
    torch.testing.assert_close(
        resize_positions(grid, want * want).double(), oracle.resize(grid.double(), want), atol=1e-5, rtol=0
    )


def test_resizing_keeps_a_gradient_for_every_stored_position() -> None:
    grid = torch.randn(256, 4, requires_grad=True)
    resize_positions(grid, 1024).pow(2).sum().backward()
    assert grid.grad is not None
    assert (grid.grad != 0).all()
