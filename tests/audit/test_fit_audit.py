"""The audit of a fit: leaves no trace, counts right, and stops each planted trap."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import has_avx512bf16
from rich.console import Console

from lit_vlr.audit import FitAudit
from lit_vlr.audit import callback as audit_callback
from lit_vlr.audit.callback import audit
from lit_vlr.audit.counts import check_kernels, count_towers
from lit_vlr.audit.gradients import GradientFlow, check_flow, gradient_flow
from lit_vlr.audit.table import print_report
from lit_vlr.cli import main
from lit_vlr.errors import AuditError
from lit_vlr.models import Llava, Lora
from lit_vlr.models.hf import TransformersFamily, load
from lit_vlr.models.memory import DeviceMemory
from lit_vlr.models.quantization import four_bit_layers
from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._fits import fit, module
from tests._tiny import SHORT, arguments, batch


def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what notices quantisation in the wrong place before the audit does."""
    monkeypatch.setattr(load, "assert_quantized", lambda *args: None)


def loaded(**settings) -> TransformersFamily:
    made = module(**settings)
    made.configure_model()
    return made.family


def test_training_is_bit_for_bit_the_same_with_and_without(tmp_path: Path) -> None:
    def run(audited: bool) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        made = module()
        attack = AdversarialTraining(PGD(Linf("2/255"), steps=1, random_start=True, keep_best=False))
        fit(made, tmp_path, *([FitAudit()] if audited else []), attack)
        state = {n: p.detach() for n, p in made.named_parameters() if p.requires_grad} | dict(made.named_buffers())
        return state, torch.get_rng_state()

    (found, random_found), (expected, random_expected) = run(True), run(False)
    assert torch.equal(random_found, random_expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_nothing_is_touched_even_where_it_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module()
    made.configure_model()
    made.train()
    rows = batch(made.family, 2)
    made.family.base.model.language_model.eval()  # a mixture of modes
    modes = {name: part.training for name, part in made.named_modules()}
    before = torch.get_rng_state()

    def fail(flow: GradientFlow) -> None:
        raise AuditError("planted")

    monkeypatch.setattr(audit_callback, "check_flow", fail)
    with pytest.raises(AuditError, match="planted"):
        audit(made, rows)
    assert {name: part.training for name, part in made.named_modules()} == modes
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in made.parameters())


def test_counts_are_those_of_the_shapes() -> None:
    family = loaded(lora=Lora(r=4, vision=True))
    counts = count_towers(family.base, family.towers.of)
    text, vision = family.config.text_config, family.config.vision_config
    d, f, kv = text.hidden_size, text.intermediate_size, text.num_key_value_heads * text.head_dim
    shapes = [(d, d), (kv, d), (kv, d), (d, d), (f, d), (f, d), (d, f)]
    assert counts["language"].four_bit == text.num_hidden_layers * sum(out * into for out, into in shapes)
    assert counts["language"].lora == 4 * text.num_hidden_layers * sum(out + into for out, into in shapes)
    w, m, p = vision.hidden_size, vision.intermediate_size, vision.patch_size
    blocks = vision.num_hidden_layers * (4 * (w + w) + 2 * (w + m))
    assert counts["vision"].lora == 4 * (blocks + w + 3 * p * p)
    assert counts["projector"].trained == w * d + d + d * d + d
    assert counts["vision"].four_bit == counts["projector"].four_bit == counts["head"].four_bit == 0
    trained = sum(p.numel() for p in family.parameters() if p.requires_grad)
    assert sum(tower.trained for tower in counts.values()) == trained


def test_the_report_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = FitAudit()
    fit(module(bits=8), tmp_path, watch)
    report = watch.report
    assert report is not None
    assert report.features == (64, 64)
    assert report.rope is None
    assert report.flow.pixels > 0.999
    assert report.flow.reached == report.flow.trained == {"projector": 1, "language": 28}
    assert "image tokens" in capsys.readouterr().out
    page = io.StringIO()
    print_report(report, Console(file=page, width=160))
    text = page.getvalue()
    eight = report.counts["language"].eight_bit
    assert f"{eight:,}" in text
    assert "28 of 28" in text
    assert "float32, 0" in text


Plant = Callable[[pytest.MonkeyPatch], object]

TRAPS: dict[str, tuple[Plant, str]] = {
    "anchored skip list": (
        lambda patch: (
            quiet(patch),
            patch.setattr(Llava, "quantization_skip", property(lambda self: ("vision_tower", "multi_modal_projector"))),
        ),
        r"nothing but the language model to be quantised but \d+ layers of `vision` are, .*anchored: write `\.\*vision",
    ),
    "language model left out": (
        lambda patch: (quiet(patch), patch.setattr(Llava, "quantization_skip", property(lambda self: (".*",)))),
        r"Expected every linear layer of `language` in 4 bit but model.language_model.* is not",
    ),
    "q_proj": (
        lambda patch: patch.setattr(Llava, "lora_targets", property(lambda self: (".*q_proj",))),
        r"Expected no adapters in `vision` but 6 layers have some, such as model.vision_tower.*q_proj",
    ),
    "adapters on the vision tower alone": (
        lambda patch: patch.setattr(Llava, "lora_targets", property(lambda self: (".*vision_tower.*q_proj",))),
        r"Expected no adapters in `vision`|Expected adapters in `language` but no layer has any",
    ),
    "pictures are detached": (
        lambda patch: patch.setattr(
            Llava, "encode_images", lambda self, images, plain=Llava.encode_images: plain(self, images.detach())
        ),
        r"Expected a gradient from the loss to the pictures but it is zero; attacks will find nothing",
    ),
    "repack": (
        lambda patch: patch.setattr(
            load, "guard_cpu_kernels", lambda model: [setattr(m, FLAG, True) for m in four_bit_layers(model)]
        ),
        r"bitsandbytes repacks them on this CPU in the first pass without gradients, .*`lit_vlr.*guard_cpu_kernels`",
    ),
    "memory": (
        lambda patch: patch.setattr(audit_callback, "device_memory", lambda device: DeviceMemory(0, 2**20)),
        r"to fit into the 1.0 MiB of cpu but they need [\d.]+ MiB; set `quantization.bits` to 4",
    ),
}
FLAG = "support_avx512bf16_for_cpu"


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_stops_the_fit(trap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, message = TRAPS[trap]
    plant(monkeypatch)
    # A quantised projector cannot be trained at all: peft fails on it by itself.
    made = module(lora=Lora(r=4, projector=trap != "anchored skip list"))
    with pytest.raises(AuditError, match=message):
        fit(made, tmp_path, FitAudit())
    assert not any(bool(p.grad is not None) for p in made.parameters())


@pytest.mark.skipif(not has_avx512bf16(), reason="needs a CPU with AVX512-BF16, where bitsandbytes repacks")
def test_the_repack_takes_the_gradient_from_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    # What `guard_cpu_kernels` is for, seen happening: the flag on, a validation pass, then a training pass.
    monkeypatch.setattr(load, "guard_cpu_kernels", lambda model: 0)
    made = module(lora=Lora(r=4, dropout=0.0))
    made.configure_model()
    rows = batch(made.family, 2)
    trained = {n: p for n, p in made.family.named_parameters() if p.requires_grad}

    def flow() -> GradientFlow:
        return gradient_flow(lambda x: made.attack_loss(x, rows), rows.images, trained, made.family.towers.of)

    made.train()
    check_flow(flow())
    made.eval()
    with torch.no_grad():
        made.attack_loss(rows.images, rows)
    made.train()
    for layer in four_bit_layers(made):
        setattr(layer, FLAG, False)  # too late
    with pytest.raises(AuditError, match="repacks"):
        check_kernels(made.family.base)
    with pytest.raises(AuditError, match="Expected a gradient from the loss to the pictures but it is zero"):
        check_flow(flow())


def truncated(rows):
    keep = rows.input_ids.shape[1] - 10  # prompts begin with the picture
    return replace(
        rows,
        input_ids=rows.input_ids[:, -keep:],
        attention_mask=rows.attention_mask[:, -keep:],
        labels=rows.labels[:, -keep:],
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, r"Expected 64 image tokens in `input_ids` of scenes/test/\S+, one a feature, but got 5\d; never"),
        (lambda r: replace(r, prompt_ids=r.prompt_ids[:, 20:]), r"Expected 64 image tokens in `prompt_ids` of"),
        (
            lambda r: r.with_images((r.images - 0.5) / 0.5),
            r"in \[0, 1\] but got values from -1 to .*; pass unnormalised",
        ),
        (
            lambda r: r.with_images(r.images.bfloat16()),
            r"as float32 but got torch.bfloat16, in which a small eps is lost",
        ),
    ],
    ids=["truncated", "truncated prompt", "normalised", "bfloat16"],
)
def test_a_batch_that_is_wrong_stops_the_fit(spoil, message: str, tmp_path: Path) -> None:
    made = module()
    made.configure_model()
    with pytest.raises(AuditError, match=message):
        fit(made, tmp_path, FitAudit(), batches=[spoil(batch(made.family, 2))])


def test_what_else_trains_is_named(tmp_path: Path) -> None:
    made = module()
    made.configure_model()
    made.family.base.model.language_model.norm.weight.requires_grad_(True)
    with pytest.raises(AuditError, match=r"adapters and projector to be trained and no more but .*norm.weight"):
        fit(made, tmp_path, FitAudit())


def test_a_frozen_projector_is_noticed(tmp_path: Path) -> None:
    made = module()
    made.configure_model()
    made.family.base.model.multi_modal_projector.requires_grad_(False)
    with pytest.raises(AuditError, match="Expected `projector` to be trained but it is frozen"):
        fit(made, tmp_path, FitAudit())


def test_gradients_that_are_not_finite_are_noticed(tmp_path: Path) -> None:
    made = module()
    made.configure_model()
    weight = next(p for n, p in made.named_parameters() if "lora_A" in n)
    weight.data[0, 0] = float("nan")
    with pytest.raises(AuditError, match=r"Expected finite gradients but that of .* is not; try `--trainer.precision"):
        fit(made, tmp_path, FitAudit())


def test_a_tower_that_gets_no_gradient_is_named() -> None:
    flow = GradientFlow(pixels=1.0, reached={"language": 0}, trained={"language": 7})
    with pytest.raises(AuditError, match="Expected gradients in `language` but none of its 7 trained modules gets one"):
        check_flow(flow)


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_settings_that_are_right_pass(bits: int, tmp_path: Path) -> None:
    fit(module(lora=Lora(r=4, vision=True, dora=True), bits=bits, gradient_checkpointing=True), tmp_path, FitAudit())


def test_the_command_line_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("fit", tmp_path, *SHORT, "--trainer.precision=bf16-true")) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lit-vlr: error:")]
    assert len(lines) == 1
    assert "`--trainer.precision bf16-true` casts them to bfloat16, in which a small eps is lost" in lines[0]
