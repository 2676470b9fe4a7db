"""Prompts and pictures that families have to lay out or to refuse: what users really bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

import lit_vlr.models
from lit_vlr.errors import ImageError, UserError
from lit_vlr.models import Quantization
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.models.hf.prompts import continuation
from lit_vlr.types import Sample
from tests.models import _checks as checks
from tests.models._checkpoints import MAKERS, save

NAMES = list(MAKERS)
PLACEHOLDERS = ("<image>", "<|image_pad|>", "<image_soft_token>", "<IMG_CONTEXT>", "<start_of_image>")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def made(name: str, root: Path, **kwargs: Any) -> TransformersFamily:
    """A family without its weights."""
    folder = root / name
    if not folder.exists():
        save(name, folder)
    family: TransformersFamily = getattr(lit_vlr.models, name)(str(folder), Quantization(bits=16), None, **kwargs)
    return family


def ask(question: str, height: int = 16, width: int = 16) -> Sample:
    return Sample("mine/1", checks.picture(height, width), "i", question, ("red",) * 10)


def found(family: TransformersFamily, ids: torch.Tensor) -> int:
    return int((ids == family.config.image_token_id).sum())


@pytest.mark.parametrize("name", NAMES)
def test_a_placeholder_in_question_or_answer_is_text(name: str, root: Path) -> None:
    family = made(name, root)
    clean = family.collate([ask("What  is it?")], ["red"])
    for token in PLACEHOLDERS:
        rows = family.collate([ask(f"What {token} is it?")], [f"{token}red"])
        assert found(family, rows.input_ids) == found(family, clean.input_ids) > 0
        if token in family._special:  # else it is nothing to this tokenizer but its letters
            assert torch.equal(rows.input_ids, clean.input_ids)
    nested = family.placeholder[:3] + family.placeholder + family.placeholder[3:]
    assert torch.equal(family.collate([ask(f"What {nested} is it?")], ["red"]).input_ids, clean.input_ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_placeholder_in_a_further_prompt_is_text(name: str, root: Path) -> None:
    family = made(name, root)
    image = torch.rand(3, 16, 16)
    expected = found(family, torch.tensor(family.encode("<image>Is it red?", image)))
    ids = family.encode(f"<image>Is {family.placeholder} it <image>red?", image)
    assert found(family, torch.tensor(ids)) == expected


@pytest.mark.parametrize("question", ["", "  \n", "<image>"])
@pytest.mark.parametrize("name", ["Llava", "Qwen25VL", "PaliGemma"])
def test_an_empty_question_is_refused(name: str, root: Path, question: str) -> None:
    with pytest.raises(UserError, match="Expected a question but mine/1 has an empty one"):
        made(name, root).collate([ask(question)], [""])


@pytest.mark.parametrize("name", NAMES)
def test_pictures_with_nothing_to_see_are_refused(name: str, root: Path) -> None:
    family = made(name, root)
    for height, width in ((1, 1), (1, 40), (2, 500)):
        with pytest.raises(ImageError, match=rf"at least 2 x 2 .* but mine/1 has {width} x {height}; remove the row"):
            family.collate([ask("What?", height, width)], [""])


@pytest.mark.parametrize("name", NAMES)
def test_extreme_shapes_and_several_sizes_are_answered(name: str, root: Path) -> None:
    family = checks.plain(name, made(name, root).name_or_path)  # type: ignore[arg-type]
    rows = checks.batch(family, (2, 2), (3, 300), (200, 4), (65, 41))
    output = family(rows)
    assert output.answer_logits.isfinite().all()
    assert len(family.generate(rows, 2).texts) == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [16, (32, 16)])
def test_a_canvas_of_one_size_makes_one_tensor(name: str, root: Path, size: int | tuple[int, int]) -> None:
    family = made(name, root, image_size=size)
    if isinstance(size, tuple) and name in ("Llava", "PaliGemma", "Gemma3"):
        with pytest.raises(UserError, match=r"Expected `image_size` as one number but got \(32, 16\)"):
            checks.batch(family, (40, 24))
        return
    rows = checks.batch(family, (40, 24), (20, 90), (16, 16))
    expected = (size, size) if isinstance(size, int) else size
    assert isinstance(rows.images, torch.Tensor)
    assert rows.images.shape == (3, 3, *expected)
    assert rows.images.min() >= 0
    assert rows.images.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_long_question_loses_its_end_and_the_picture_nothing(name: str, root: Path) -> None:
    family = made(name, root)
    whole = family.collate([ask("What? " * 30)], [""])
    length = whole.prompt_ids.shape[1]
    bound = made(name, root, max_length=length - 100)
    rows = bound.collate([ask("What? " * 30)], [""])
    assert rows.prompt_ids.shape[1] == length - 100  # one token a character
    assert found(family, rows.prompt_ids) == found(family, whole.prompt_ids)
    tail = family.prompt.split("{question}")[1]
    assert family.tokenizer.decode(rows.prompt_ids[0]).endswith(tail)
    with pytest.raises(UserError, match=r"Expected `max_length` above \d+, which the picture of mine/1 and the text"):
        made(name, root, max_length=8).collate([ask("What?")], [""])


def test_a_question_is_cut_between_characters(root: Path) -> None:
    # Four bytes each: cut inside of one, and what is left becomes three bytes again and again.
    question = "🎈" * 20
    length = made("Llava", root).collate([ask(question)], [""]).prompt_ids.shape[1]
    for less in (1, 2, 3, 4, 5):
        family = made("Llava", root, max_length=length - less)
        rows = family.collate([ask(question)], [""])
        assert rows.prompt_ids.shape[1] == length - (4 if less <= 4 else 8)
        assert "�" not in family.tokenizer.decode(rows.prompt_ids[0])


@pytest.mark.parametrize("name", ["Llava", "Qwen25VL", "InternVL", "Gemma3"])
def test_truncated_placeholders_are_named(name: str, root: Path) -> None:
    family = checks.plain(name, Path(made(name, root).name_or_path))
    rows = checks.batch(family, (16, 16), (16, 16))
    n = len(family.image_features(rows.images)[0])
    place = int((rows.input_ids[1] == family.config.image_token_id).nonzero()[0])
    rows.input_ids[1, place] = rows.input_ids[1, -1]
    with pytest.raises(UserError, match=f"Expected {n} picture placeholders in row 1 but got {n - 1}; .*max_length"):
        family(rows)
    # One more in the other row: transformers, which compares sums, would answer both with shifted features.
    rows.input_ids[0, 0] = family.config.image_token_id
    with pytest.raises(UserError, match=f"Expected {n} picture placeholders in row 0 but got {n + 1}"):
        family(rows)


def test_qwen_2_5_without_token_types_counts_positions_wrongly_and_says_nothing(root: Path) -> None:
    family = checks.plain("Qwen25VL", Path(made("Qwen25VL", root).name_or_path))
    rows = checks.batch(family, (40, 24))
    with torch.no_grad():
        right = family(rows).answer_logits
        full = type(family).text_inputs
        family.text_inputs = lambda *args: {k: v for k, v in full(family, *args).items() if "type" not in k}  # type: ignore[method-assign]
        wrong = family(rows).answer_logits
    assert (right - wrong).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["Qwen2VL", "Qwen3VL"])
def test_the_other_qwens_without_token_types_refuse(name: str, root: Path) -> None:
    family = checks.plain(name, Path(made(name, root).name_or_path))
    rows = checks.batch(family, (40, 24))
    full = type(family).text_inputs
    family.text_inputs = lambda *args: {k: v for k, v in full(family, *args).items() if "type" not in k}  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="mm_token_type_ids"):
        family(rows)


@pytest.mark.parametrize("name", ["Idefics3", "SmolVLM"])
def test_a_picture_of_the_channel_means_has_features(name: str, root: Path) -> None:
    # Normalised it is zero, and transformers' get_image_features takes a tile of zeros for padding.
    family = checks.plain(name, Path(made(name, root).name_or_path))
    rows = checks.batch(family, (16, 16), (40, 24))
    grey = [torch.full_like(image, 0.5) for image in rows.images]
    assert family(rows.with_images(grey)).answer_logits.isfinite().all()


def test_padding_is_black_and_depends_on_no_pixel(root: Path) -> None:
    family = made("LlavaNext", root)
    image = torch.rand(
        3, 10, 32, requires_grad=True
    )  # fills the 16 x 32 grid's width: 3 rows of padding above and below
    tiles = family.pixel_inputs([image])["pixel_values"][1:]
    black = family.normalise(torch.zeros(3, 1, 1)).expand(3, 16, 16)
    for rows in (slice(0, 3), slice(13, 16)):
        for tile in tiles:
            torch.testing.assert_close(tile[:, rows], black[:, rows])
    (gradient,) = torch.autograd.grad(tiles[:, :, :3].sum() + tiles[:, :, 13:].sum(), image, allow_unused=True)
    assert gradient is None or not gradient.any()
    (gradient,) = torch.autograd.grad(family.pixel_inputs([image])["pixel_values"][1:].sum(), image)
    assert (gradient != 0).all()


def test_without_a_chat_template_the_family_has_a_prompt_of_its_own(root: Path) -> None:
    chat = made("Qwen25VL", root)
    assert chat.prompt == "<|im_start|>user\n<image>" + chat.instruction + "<|im_end|>\n<|im_start|>assistant\n"
    plain = made("Qwen25VL", root)
    plain.tokenizer.chat_template = None
    assert plain.prompt == plain.plain_prompt
    text = made("Qwen25VL", root)
    text.tokenizer.chat_template = "{{ messages[0]['content'] + 'Answer:' }}"  # of a language model: takes strings
    assert text.prompt == text.plain_prompt
    assert made("Qwen25VL", root, prompt="<image>{question}?").prompt == "<image>{question}?"


def test_processor_settings_replace_the_checkpoints(root: Path) -> None:
    image = checks.picture(40, 40)
    sample = Sample("u", image, "i", "What?", ())

    def tokens(name: str, **processor: Any) -> int:
        family = made(name, root, processor=processor)
        return found(family, family.collate([sample], [""]).prompt_ids)

    assert (tokens("Qwen25VL"), tokens("Qwen25VL", max_pixels=16 * 16)) == (25, 4)
    assert (tokens("SmolVLM"), tokens("SmolVLM", do_image_splitting=False)) == (20, 4)
    assert (tokens("InternVL"), tokens("InternVL", crop_to_patches=False)) == (20, 4)


def test_llava_crops_the_middle_or_squeezes(root: Path) -> None:
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, 8:24] = 255
    crop, squeeze = (made("Llava", root, processor=p) for p in ({}, {"do_center_crop": False}))
    assert (crop.collate([Sample("u", wide, "i", "What?", ())], [""]).images == 1).all()
    assert (squeeze.collate([Sample("u", wide, "i", "What?", ())], [""]).images < 0.5).any()


def test_a_checkpoint_without_a_processor_says_so(root: Path, tmp_path: Path) -> None:
    folder = save("Gemma3", tmp_path)
    for file in folder.glob("*processor*"):
        file.unlink()
    with pytest.warns(UserWarning, match="has no image processor configuration; the family's usual"):
        family = lit_vlr.models.Gemma3(str(folder))
    assert (family.resample, family.default_mean) == ("bilinear", (0.5, 0.5, 0.5))


def test_answers_go_on_from_the_prompt(root: Path) -> None:
    spaced, lined = made("Llava", root), made("Qwen25VL", root)
    assert spaced.tokenizer.decode(spaced.answer_tokens("red")) == " red</s>"
    assert lined.tokenizer.decode(lined.answer_tokens("red")) == "red<|im_end|>"
    assert made("Gemma3", root).tokenizer.decode(made("Gemma3", root).answer_tokens("red")) == "red<end_of_turn>"


def test_sentencepiece_answers_begin_with_no_stray_space() -> None:
    words = [("<unk>", 0.0), ("▁", -2.0), ("▁red", -1.0), ("▁Answer:", -1.0)]
    core = Tokenizer(models.Unigram(words, unk_id=0))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])  # as Llama's
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    assert tokenizer.encode(" red") == [1, 2]
    assert continuation(tokenizer, "Answer:", " red") == [2]


@pytest.mark.parametrize("name", NAMES)
def test_a_hub_name_is_not_read_before_it_is_loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it is tried for twenty seconds
    family = getattr(lit_vlr.models, name)("some-one/some-model")
    assert not family.is_local
    with pytest.raises(UserError, match=r"'some-one/some-model' but it is not in the local cache"):
        family.load(torch.device("cpu"))


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_of_another_family_is_refused(name: str, root: Path) -> None:
    other = made("Llava" if name != "Llava" else "Gemma3", root).name_or_path
    with pytest.raises(UserError, match=f"Expected a {getattr(lit_vlr.models, name).title} checkpoint but .*is of typ"):
        getattr(lit_vlr.models, name)(other)


def test_exception_max_length() -> None:
    with pytest.raises(UserError, match="Expected `max_length` of at least 1 but got 0"):
        lit_vlr.models.Llava("tiny-llava", max_length=0)
