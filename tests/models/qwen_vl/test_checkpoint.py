"""Original folders in, original folders out; what does not fit is named."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import bitsandbytes as bnb
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, BitsAndBytesConfig

from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.models.quantization import quantized_layers
from lit_vlr.models.qwen_vl import (
    QWenTokenizer,
    QwenVLConfig,
    QwenVLForConditionalGeneration,
    QwenVLProcessor,
)
from lit_vlr.models.qwen_vl.keys import original_names
from tests._qwen_vl import make_checkpoint, original_config, random_weights, write_weights

LAYOUTS = ("safetensors", "safetensors-sharded", "bin", "bin-sharded")
SKIP = [".*vision_tower", ".*multi_modal_projector", "lm_head"]


def four_bit(skip: list[str] = SKIP) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=skip)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("original")
    make_checkpoint(made)
    return made


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_saving_gives_the_same_tensors_under_the_same_names(tmp_path: Path, layout: str) -> None:
    weights = make_checkpoint(tmp_path / "original", layout)
    QwenVLForConditionalGeneration.from_pretrained(tmp_path / "original").save_pretrained(tmp_path / "again")
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert sorted(again) == sorted(weights)
    for name, tensor in weights.items():
        assert torch.equal(again[name], tensor), name  # bit for bit


def test_bfloat16_weights_come_back_bit_for_bit_in_shards(tmp_path: Path) -> None:
    weights = {k: w.bfloat16() for k, w in make_checkpoint(tmp_path / "original").items()}
    write_weights(tmp_path / "original", weights)
    model = QwenVLForConditionalGeneration.from_pretrained(tmp_path / "original", dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "again", max_shard_size="100KB")
    index = json.loads((tmp_path / "again" / "model.safetensors.index.json").read_text())
    files = set(index["weight_map"].values())
    again = {k: w for file in files for k, w in load_file(tmp_path / "again" / file).items()}
    assert len(files) > 1
    assert sorted(again) == sorted(weights)
    assert all(torch.equal(again[k], w) for k, w in weights.items())


def test_the_saved_folder_is_an_original_one(folder: Path, tmp_path: Path) -> None:
    QwenVLForConditionalGeneration.from_pretrained(folder).save_pretrained(tmp_path)
    QwenVLProcessor.from_pretrained(folder).save_pretrained(tmp_path)
    assert (tmp_path / "qwen.tiktoken").read_bytes() == (folder / "qwen.tiktoken").read_bytes()
    before, after = (json.loads((f / "config.json").read_text()) for f in (folder, tmp_path))
    assert {k for k in before if after.get(k) != before[k]} == {"transformers_version"}
    assert set(after) == set(before)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"] == "QWenTokenizer"
    assert not (tmp_path / "tokenizer.json").exists()
    model = QwenVLForConditionalGeneration.from_pretrained(tmp_path)
    inputs = QwenVLProcessor.from_pretrained(tmp_path)(text="the dog")
    torch.testing.assert_close(
        model(**inputs).logits, QwenVLForConditionalGeneration.from_pretrained(folder)(**inputs).logits, atol=0, rtol=0
    )


def test_a_new_model_saves_the_original_names_too(tmp_path: Path) -> None:
    config = original_config(300)
    QwenVLForConditionalGeneration(QwenVLConfig(**config)).save_pretrained(tmp_path)
    saved = {k: tuple(v.shape) for k, v in load_file(tmp_path / "model.safetensors").items()}
    assert saved == {k: tuple(v.shape) for k, v in random_weights(config).items()}


def test_auto_classes_need_no_remote_code(folder: Path) -> None:
    # `auto_map` in the released files names Python files; neither is there, nor would they be run.
    assert isinstance(AutoConfig.from_pretrained(folder), QwenVLConfig)
    assert isinstance(AutoModelForImageTextToText.from_pretrained(folder), QwenVLForConditionalGeneration)
    assert isinstance(AutoProcessor.from_pretrained(folder), QwenVLProcessor)
    assert isinstance(AutoTokenizer.from_pretrained(folder), QWenTokenizer)


def test_registration_is_no_import_of_the_package() -> None:
    code = "import sys, lit_vlr; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_language_model_is_quantised_on_load_and_nothing_else(folder: Path) -> None:
    weights = random_weights(original_config(0) | json.loads((folder / "config.json").read_text()))
    model = QwenVLForConditionalGeneration.from_pretrained(folder, quantization_config=four_bit())
    layers = model.config.num_hidden_layers
    assert len(quantized_layers(model)) == 7 * layers
    assert len(quantized_layers(model.model.language_model)) == 7 * layers
    attention = model.model.language_model.layers[1].self_attn
    for i, part in enumerate((attention.q_proj, attention.k_proj, attention.v_proj)):
        original = weights["transformer.h.1.attn.c_attn.weight"].chunk(3)[i]
        found = bnb.functional.dequantize_4bit(part.weight.data, part.weight.quant_state)
        expected = bnb.functional.dequantize_4bit(*bnb.functional.quantize_4bit(original, quant_type="nf4"))
        assert torch.equal(found, expected)  # each third by itself, as it was cut
        assert (found - original).abs().mean() < 0.15 * original.std()
        assert torch.equal(part.bias, weights["transformer.h.1.attn.c_attn.bias"].chunk(3)[i])
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])


def test_exception_saving_a_quantised_model(folder: Path, tmp_path: Path) -> None:
    model = QwenVLForConditionalGeneration.from_pretrained(folder, quantization_config=four_bit())
    with pytest.raises(UserError, match=r"Expected unquantised weights to save .*`bits: 16`"):
        model.save_pretrained(tmp_path)


@pytest.fixture(scope="module")
def full() -> QwenVLForConditionalGeneration:
    with torch.device("meta"):
        return QwenVLForConditionalGeneration(QwenVLConfig())


def test_the_full_size_is_that_of_the_released_weights(full: QwenVLForConditionalGeneration) -> None:
    # `total_size` of the released index; all weights are bfloat16, the frozen positions included.
    assert sum(2 * tensor.numel() for tensor in full.state_dict().values()) == 19_313_870_336


def test_full_size_shapes(full: QwenVLForConditionalGeneration) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in full.state_dict().items()}
    pool = "model.multi_modal_projector.attn_pool"
    assert shapes["model.vision_tower.conv1.weight"] == (1664, 3, 14, 14)
    assert shapes["model.vision_tower.positional_embedding"] == (256, 1664)
    assert shapes["model.vision_tower.transformer.resblocks.47.mlp.c_fc.weight"] == (8192, 1664)
    assert shapes[f"{pool}.query"] == shapes[f"{pool}.pos_embed"] == (256, 4096)
    assert full.model.multi_modal_projector.attn_pool.attn.num_heads == 32
    assert shapes["model.language_model.layers.31.mlp.gate_proj.weight"] == (11008, 4096)
    assert shapes["lm_head.weight"] == (151936, 4096)
    assert full.config.image_token_id == 151859
    # 8 names a layer, 12 a block, 11 of the adapter; embeddings, last norm and head; patches, positions and projection
    # of the tower, and its two norms.
    assert len(original_names(shapes)) == 32 * 8 + 48 * 12 + 11 + 3 + 3 + 4


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "transformer.h.1.attn.c_attn.bias",
        "transformer.h.0.mlp.w2.weight",
        "transformer.visual.attn_pool.pos_embed",
        "transformer.visual.transformer.resblocks.1.mlp.c_proj.weight",
    ],
)
def test_exception_missing_weight(copy: Path, name: str) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights[name]
    write_weights(copy, weights)
    with pytest.raises(CheckpointError, match=f"1 are missing: {name};"):
        QwenVLForConditionalGeneration.from_pretrained(copy)


def test_exception_left_over_weight(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    with pytest.raises(CheckpointError, match=r"8 are left over: transformer\.h\.1\..*number of layers in config.json"):
        QwenVLForConditionalGeneration.from_pretrained(copy)


@pytest.mark.parametrize("quantization", [None, four_bit()], ids=["16 bit", "4 bit"])
@pytest.mark.parametrize(
    ("name", "shape", "given"), [("mlp.c_proj", (128, 256), (128, 256)), ("attn.c_attn", (192, 128), (64, 128))]
)
def test_exception_wrong_shape(copy: Path, name: str, shape: tuple, given: tuple, quantization) -> None:
    # transformers compares no shapes of weights that it quantises.
    name = f"transformer.h.0.{name}.weight"
    write_weights(copy, load_file(copy / "model.safetensors") | {name: torch.zeros(shape)})
    message = rf"Expected {name} for model\..* of shape .* gives {re.escape(str(given))}"
    with pytest.raises(CheckpointError, match=message):
        QwenVLForConditionalGeneration.from_pretrained(copy, quantization_config=quantization)


def test_exception_no_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"Expected a Qwen-VL checkpoint in .* cannot be read"):
        QwenVLForConditionalGeneration.from_pretrained(copy)


def test_exception_missing_shard(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "bin-sharded")
    (tmp_path / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match=r"cannot be read: .*all weight files"):
        QwenVLForConditionalGeneration.from_pretrained(tmp_path)


def test_exception_missing_ranks(copy: Path) -> None:
    (copy / "qwen.tiktoken").unlink()
    for loads in (QwenVLProcessor, AutoProcessor, AutoTokenizer):
        with pytest.raises(CheckpointError, match=r"Expected qwen.tiktoken in .* but there is none; copy it"):
            loads.from_pretrained(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visual": None}, "this is plain Qwen"),
        ({"visual": {"width": 64}}, r"\['heads', .*\] are missing"),
        ({"no_bias": False}, "Expected `no_bias` to be True .* got False"),
        ({"rotary_pct": 0.5}, "Expected `rotary_pct` to be 1.0"),
        ({"hidden_size": 256}, "Expected `visual.output_dim` to be 256"),
    ],
)
def test_exception_configuration(changes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        QwenVLConfig(**{**original_config(300), **changes})
