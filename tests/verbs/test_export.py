"""Exports load in plain transformers and plain peft, without bitsandbytes, and say what the trained model says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

import lit_vlr.models
from lit_vlr.cli import main
from lit_vlr.errors import UserError
from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.models.base import ModelFamily
from lit_vlr.models.merging import dequantized, merge_exactly
from lit_vlr.models.quantization import Bits, guard_cpu_kernels, quantized_layers
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.verbs import export
from tests._qwen_vl import make_checkpoint
from tests._tiny import SHORT, arguments, batch, family
from tests.models import _checks as checks
from tests.models._checkpoints import MAKERS, save

EXACT = 1e-4


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


def jiggle(made: ModelFamily) -> None:
    """Move everything that trains, adapters far enough that they matter."""
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a short fit on the command line, with large steps."""
    run = tmp_path_factory.mktemp("run")
    more = ("--model.optimisation.lr=0.02", "--model.optimisation.warmup=0", "--trainer.callbacks=null")
    assert main(arguments("fit", run, *SHORT, *more)) == 0
    yield next(run.rglob("*.ckpt"))
    shutil.rmtree(run)


def trained(checkpoint: Path) -> Llava:
    from lit_vlr.predictor import load_module

    made = load_module(checkpoint).family
    assert isinstance(made, Llava)
    return made


def logits(model: torch.nn.Module, made: Llava) -> tuple[torch.Tensor, torch.Tensor]:
    """A plain model's logits at the answers, and the adapted 4-bit model's."""
    rows = batch(made, 4)
    pixels = (rows.images - 0.5) / 0.5
    with torch.no_grad():
        expected = made(rows).answer_logits
        found = model(
            input_ids=rows.input_ids,
            attention_mask=rows.attention_mask,
            pixel_values=pixels.to(next(model.parameters()).dtype),
        ).logits
    return found[:, :-1][rows.labels[:, 1:] != -100], expected


@pytest.mark.parametrize(("dtype", "bound"), [("float32", EXACT), ("bfloat16", 0.02)])
def test_the_exported_folder_says_what_the_trained_model_says(
    dtype: str, bound: float, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(out), "--dtype", dtype]) == 0
    assert str(out) in capsys.readouterr().out
    model = AutoModelForImageTextToText.from_pretrained(out).eval()
    assert {p.dtype for p in model.parameters()} == {getattr(torch, dtype)}
    assert quantized_layers(model) == []
    assert getattr(model.config, "quantization_config", None) is None
    found, expected = logits(model, trained(checkpoint))
    assert relative(found, expected) <= bound
    plain = AutoModelForImageTextToText.from_pretrained(TINY_LLAVA, dtype=torch.float32).eval()
    assert relative(*logits(plain, trained(checkpoint))) > 0.05  # training did something
    processor = AutoProcessor.from_pretrained(out)
    assert (
        processor.tokenizer("a red kite").input_ids == AutoTokenizer.from_pretrained(TINY_LLAVA)("a red kite").input_ids
    )
    manifest = json.loads((out / export.MANIFEST).read_text())
    assert manifest["base"] == "tiny-llava"
    assert "{question}" in manifest["prompt"]


def test_what_was_trained_in_bfloat16_is_exported_with_the_base_that_it_was_trained_on(
    checkpoint: Path, tmp_path: Path
) -> None:
    # As if `compute_dtype: auto` had been a GPU's: the base is rounded to bfloat16 before it is quantised, which moves
    # some weights to another 4-bit code.
    content = torch.load(checkpoint, weights_only=True)
    assert content["compute_dtype"] == "float32"
    torch.save(content | {"compute_dtype": "bfloat16"}, tmp_path / "gpu.ckpt")
    assert main(["export", "--checkpoint", str(tmp_path / "gpu.ckpt"), "--out", str(tmp_path / "out")]) == 0
    found = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").model.language_model.layers[0].mlp.up_proj

    def expected(dtype: str) -> torch.Tensor:
        made = Llava("tiny-llava", Quantization(compute_dtype=dtype), None)
        made.load(torch.device("cpu"))
        layer = trained(checkpoint).base.model.language_model.layers[0].mlp.up_proj
        return dequantized(made.base.model.language_model.layers[0].mlp.up_proj) + layer.get_delta_weight("default")

    assert relative(found.weight, expected("bfloat16")) < 1e-6
    assert relative(found.weight, expected("float32")) > EXACT


def test_the_exported_folder_loads_where_there_is_no_bitsandbytes_and_no_peft(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(out)]) == 0
    script = (
        "import sys\nsys.modules['bitsandbytes'] = sys.modules['peft'] = sys.modules['lit_vlr'] = None\n"
        "from transformers import LlavaForConditionalGeneration\n"
        f"model, info = LlavaForConditionalGeneration.from_pretrained({str(out)!r}, output_loading_info=True)\n"
        "assert not info['missing_keys'] and not info['unexpected_keys'], info\n"
        "print(sum(p.numel() for p in model.parameters()))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    expected = sum(p.numel() for p in family(bits=16, lora=None).base.parameters())
    assert int(ran.stdout.split()[-1]) == expected


def test_the_adapter_alone_loads_in_plain_peft(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(out), "--adapter-only"]) == 0
    made = trained(checkpoint)
    base = AutoModelForImageTextToText.from_pretrained(
        TINY_LLAVA,
        quantization_config=made.quantization.config(made.quantization_skip, torch.float32),
        dtype=torch.float32,
    )
    guard_cpu_kernels(base)
    found, expected = logits(PeftModel.from_pretrained(base, str(out)).eval(), made)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not list(out.glob("model*.safetensors"))


def test_a_folder_that_is_not_empty_is_left_alone(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    given = ["export", "--checkpoint", str(checkpoint), "--out", str(out)]
    assert main(given) == 2
    assert "Expected --out to be new or empty but" in capsys.readouterr().err
    assert (out / "mine.txt").read_text() == "keep"
    assert main([*given, "--overwrite"]) == 0
    assert not (out / "mine.txt").exists()
    assert (out / "config.json").exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_killed_export_leaves_nothing_under_the_name_and_can_be_done_again(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    given = ["--checkpoint", str(checkpoint), "--out", str(out)]

    def killed(*args: object) -> None:
        (tmp_path / "out.part" / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export, "export_model", killed)
        with pytest.raises(KeyboardInterrupt):
            export.main(given)
    assert not out.exists()
    export.main(given)
    AutoModelForImageTextToText.from_pretrained(out)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--checkpoint", "nowhere.ckpt", "--out", "x"], "Expected a checkpoint at nowhere.ckpt but there is no such"),
        (["--checkpoint", "c/best.ckpt", "--out", "c"], "Expected --out outside of the run but c/best.ckpt lies in c"),
        (["--checkpoint", "/a.ckpt", "--out", ".", "--overwrite"], "Expected --out as a folder of its own but . holds"),
        (["--checkpoint", "a.ckpt", "--out", __file__], "Expected --out to be a folder but .* is a file"),
        (
            ["--checkpoint", "a", "--out", "x", "--adapter-only", "--dtype", "bfloat16"],
            "Expected no --dtype with --adap",
        ),
        (["--checkpoint", "a", "--out", "x", "--dtype", "int4"], "invalid choice: 'int4'"),
    ],
)
def test_exception_arguments(more: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        export.main(more)


KINDS = {"lora": {}, "rslora": {"rslora": True}, "dora": {"dora": True}}


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_merging_is_exact_for_every_kind_of_adapter(kind: str, bits: Bits) -> None:
    made = family(bits=bits, lora=Lora(r=4, dropout=0.0, vision=True, **KINDS[kind])).eval()
    jiggle(made)
    rows = batch(made, 3)
    with torch.no_grad():
        adapted = made(rows).answer_logits
        made.model = merge_exactly(made.model)
        # Only an 8-bit layer rounds its input; that is not the weights', and not exported.
        assert relative(made(rows).answer_logits, adapted) <= (0.03 if bits == 8 else 1e-5)


def test_merging_into_four_bit_or_into_the_original_weights_is_not_exact() -> None:
    # Why the weights are dequantised first: the numbers in the docstring of `merging` are of this kind.
    made = family(lora=Lora(r=16, dropout=0.0)).eval()
    jiggle(made)
    rows = batch(made, 3)
    original = Llava("tiny-llava", Quantization(bits=16), made.lora, image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    original.load(torch.device("cpu"))
    state = {n: p for n, p in made.state_dict().items() if "lora_" in n or "modules_to_save" in n}
    assert not original.load_state_dict(state, strict=False).unexpected_keys
    with torch.no_grad():
        adapted = made(rows).answer_logits
        assert relative(original.eval()(rows).answer_logits, adapted) > 100 * EXACT
        made.base.eval()
        made.model = made.model.merge_and_unload()
        assert relative(made(rows).answer_logits, adapted) > 100 * EXACT


@pytest.mark.parametrize("name", [*MAKERS, "QwenVL"])
def test_every_family_exports(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    if name == "QwenVL":
        make_checkpoint(folder)
    else:
        save(name, folder)
    made = checks.qlora(name, folder, vision=True)
    jiggle(made)
    rows = checks.batch(made, (16, 16), (40, 24))
    with torch.no_grad():
        adapted = made(rows).answer_logits
    out = tmp_path / "out"
    out.mkdir()
    export.export_model(made, out, torch.float32)
    again = getattr(lit_vlr.models, name)(str(out), Quantization(bits=16), None)
    again.load(torch.device("cpu"))
    with torch.no_grad():
        assert relative(again.eval()(rows).answer_logits, adapted) <= EXACT
    assert again.preprocessing == getattr(lit_vlr.models, name)(str(folder)).preprocessing
