"""Prompts and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lit_vlr.errors import UserError
from lit_vlr.models.qwen_vl import CHAT_PROMPT, QwenVLProcessor
from lit_vlr.models.qwen_vl.processor import normalize
from lit_vlr.models.qwen_vl.tokenizer import SPECIAL_TOKENS
from tests._qwen_vl import make_checkpoint


@pytest.fixture(scope="module")
def processor(tmp_path_factory) -> QwenVLProcessor:
    folder = tmp_path_factory.mktemp("processor")
    make_checkpoint(folder, visual={"n_queries": 256})
    return QwenVLProcessor.from_pretrained(folder)


PICTURE = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)


def test_the_prompt_of_visual_question_answering(processor: QwenVLProcessor) -> None:
    ids = processor(PICTURE, questions=["What is this?"])["input_ids"][0].tolist()
    text = processor.tokenizer.decode(ids)
    assert text == "<img>" + "<imgpad>" * 256 + "</img>What is this? Answer:"
    assert len(ids) == 258 + len(processor.tokenizer.encode("What is this? Answer:"))


def test_the_prompt_of_the_chat_model(processor: QwenVLProcessor) -> None:
    ids = processor.encode(CHAT_PROMPT, question="What is this?")
    text = processor.tokenizer.decode(ids).replace("<imgpad>" * 256, "…")
    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nPicture 1: <img>…</img>\nWhat is this?<|im_end|>\n<|im_start|>assistant\n"
    )
    start, end = processor.tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert (ids.count(start), ids.count(end)) == (3, 2)


@given(
    question=st.lists(
        st.sampled_from(["<image>", "{question}", "{x}", "<im", "<|im_", "end|>", "g>", " ", *SPECIAL_TOKENS])
    )
)
def test_a_question_adds_no_special_token_and_stays_as_it_is(processor: QwenVLProcessor, question: list[str]) -> None:
    asked = "".join(question)
    words = processor.tokenizer.vocab_size
    empty = processor.encode(CHAT_PROMPT, question="")
    ids = processor.encode(CHAT_PROMPT, question=asked)
    assert [i for i in ids if i >= words] == [i for i in empty if i >= words]
    assert processor.tokenizer.decode(ids) == processor.tokenizer.decode(empty).replace("</img>\n", f"</img>\n{asked}")


def test_rows_are_padded_on_the_left(processor: QwenVLProcessor) -> None:
    inputs = processor([PICTURE, PICTURE], questions=["a", "a longer question"])
    mask = inputs["attention_mask"]
    assert mask[1].all()
    assert mask[0].tolist() == sorted(mask[0].tolist())
    assert (inputs["input_ids"][0][mask[0] == 0] == processor.tokenizer.pad_token_id).all()


@pytest.mark.parametrize("size", [(90, 130), (64, 64), (30, 41)])
def test_pictures_are_squashed_as_pillow_does(processor: QwenVLProcessor, size: tuple[int, int]) -> None:
    # No overshoot beyond 0 and 255: Pillow cuts that off after each direction, we after both.
    picture = np.random.default_rng(1).integers(90, 166, (*size, 3), dtype=np.uint8)
    found = processor.pixels(picture)
    resized = Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255
    assert found.min() >= 0
    assert found.max() <= 1
    torch.testing.assert_close(found, expected, atol=1.5 / 255, rtol=0)  # and Pillow rounds after each


def test_pictures_of_every_kind_give_the_same_pixels(processor: QwenVLProcessor, tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "picture.png")
    kinds = [
        PICTURE,
        Image.fromarray(PICTURE),
        tmp_path / "picture.png",
        torch.from_numpy(PICTURE).permute(2, 0, 1) / 255,
    ]
    for kind in kinds:
        torch.testing.assert_close(processor.pixels(kind), processor.pixels(PICTURE))


def test_normalisation_is_clips(processor: QwenVLProcessor) -> None:
    # Channel means give 0, a standard deviation more gives 1.
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
    torch.testing.assert_close(normalize(mean + std), torch.ones(1, 3, 1, 1))
    torch.testing.assert_close(
        processor(PICTURE, "<image>")["pixel_values"][0], normalize(processor.pixels(PICTURE)[None])[0]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": None}, "Expected a picture for each <image> but got 0 for 1"),
        ({"images": [PICTURE] * 2, "questions": ["a"]}, "got 2 for 1"),
        ({"images": PICTURE, "text": "<image>", "questions": ["a"]}, r"Expected \{question\} in the prompt"),
        ({"images": PICTURE, "text": ["<image>{question}"] * 2, "questions": ["a"]}, "a question a template"),
        ({"images": PICTURE, "return_tensors": "np"}, "Expected `return_tensors`"),
    ],
)
def test_exception_inputs(processor: QwenVLProcessor, arguments, message: str) -> None:
    with pytest.raises(UserError, match=message):
        processor(**arguments)
