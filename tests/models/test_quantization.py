"""4 bit, 8 bit and neither; what is held in which dtype; what recomputing activations changes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

from lit_vlr.errors import UserError
from lit_vlr.models import Llava, Lora, Quantization
from lit_vlr.models.quantization import assert_quantized, four_bit_layers, quantized_layers
from lit_vlr.objectives import SFT
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import batch, family

HALF = (0.5, 0.5, 0.5)
VISION = Lora(dropout=0.0, vision=True)


def load(quantization: Quantization, lora: Lora | None = VISION, checkpointing: bool = False) -> Llava:
    torch.manual_seed(0)  # LoRA's own initialisation
    made = Llava(
        "tiny-llava", quantization, lora, image_mean=HALF, image_std=HALF, gradient_checkpointing=checkpointing
    )
    made.load(torch.device("cpu"))
    return made


def pixel_gradient(made: Llava, n: int = 4) -> torch.Tensor:
    rows = batch(made, n)
    images = rows.images.clone().requires_grad_()
    return torch.autograd.grad(SFT()(made(rows.with_images(images)), rows).sum(), images)[0]


def test_eight_bit_works_on_the_cpu_forward_and_backward() -> None:
    eight, plain = load(Quantization(bits=8)).eval(), load(Quantization(bits=16)).eval()
    assert len(quantized_layers(eight)) == 7 * len(eight.base.model.language_model.layers)
    assert four_bit_layers(eight) == []
    assert all(layer.weight.dtype == torch.int8 for layer in quantized_layers(eight))
    rows = batch(eight, 4)
    eight.generate(rows, 2)  # a pass without gradients first, as for 4 bit
    with torch.no_grad():
        found, expected = eight(rows).answer_logits, plain(rows).answer_logits
    assert (found - expected).norm() / expected.norm() < 0.02
    cosine = F.cosine_similarity(pixel_gradient(eight).flatten(1), pixel_gradient(plain).flatten(1))
    assert cosine.min() > 0.98


def test_outlier_columns_make_eight_bit_answers_depend_on_their_neighbours() -> None:
    def change(threshold: float) -> float:
        made = load(Quantization(bits=8, outlier_threshold=threshold), lora=None).eval()
        together, alone = batch(made, 6), batch(made, 1)
        with torch.no_grad():
            both = made(together)
            first = both.answer_logits[both.answer_rows == 0]
            return float((first - made(alone).answer_logits).abs().max() / first.abs().max())

    # At 0 no column is left out, and float rounding alone moves a code now and then.
    assert change(0.5) > 4 * change(0.0)


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_in_bfloat16_only_what_trains_is_float32(bits: int) -> None:
    made = load(Quantization(bits=bits, compute_dtype="bfloat16")).train()
    dtypes = {}
    for name, parameter in made.named_parameters():
        dtypes.setdefault("trained" if parameter.requires_grad else "frozen", set()).add(parameter.dtype)
        assert parameter.requires_grad == (parameter.dtype == torch.float32), name
    held = {4: {torch.uint8}, 8: {torch.int8}, 16: set()}[bits]
    assert dtypes == {"trained": {torch.float32}, "frozen": {torch.bfloat16} | held}


def test_a_projector_in_bfloat16_moves_at_its_usual_rate() -> None:
    # LLaVA's 2e-5 is less than half the distance of two bfloat16 numbers at the size of these weights: AdamW's first
    # step, whose size is the rate, would be rounded away in most of them.
    made = load(Quantization(compute_dtype="bfloat16")).train()
    weight = made.base.model.multi_modal_projector.linear_1.weight
    before = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=2e-5, weight_decay=0.0)
    rows = batch(made, 2)
    SFT()(made(rows), rows).sum().backward()
    optimizer.step()
    moved = weight.grad != 0
    assert ((weight != before) | ~moved).float().mean() > 0.999
    rounded = before.bfloat16()
    assert ((rounded - 2e-5 * weight.grad.sign().bfloat16()) == rounded).float().mean() > 0.5


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_recomputing_activations_changes_no_gradient_and_allows_attacks(bits: int) -> None:
    def gradients(checkpointing: bool) -> tuple[torch.Tensor, torch.Tensor]:
        made = load(Quantization(bits=bits), checkpointing=checkpointing).train()
        rows = batch(made, 2)
        pixels = pixel_gradient(made, 2)
        SFT()(made(rows), rows).sum().backward()
        return pixels, torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None])

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_an_attack_under_recomputation_finds_what_it_finds_without() -> None:
    def attacked(checkpointing: bool) -> torch.Tensor:
        made = load(Quantization(), checkpointing=checkpointing).train()
        rows = batch(made, 2)
        loss = lambda images: SFT()(made(rows.with_images(images)), rows)  # noqa: E731
        return PGD(Linf("4/255"), steps=2).attack(loss, rows.images).images - rows.images

    found, expected = attacked(True), attacked(False)
    assert expected.abs().max() == pytest.approx(4 / 255, abs=1e-6)
    assert ((found - expected).abs() < 1e-5).float().mean() > 0.99  # a sign of a gradient near zero may differ


@pytest.mark.parametrize(("bits", "checkpointing"), list(itertools.product([4, 8, 16], [False, True])))
def test_a_frozen_tower_has_no_graph(bits: int, checkpointing: bool) -> None:
    # transformers and peft, left alone, each give it one where activations are recomputed.
    made = load(Quantization(bits=bits), Lora(dropout=0.0), checkpointing).train()
    seen = {}
    made.base.model.vision_tower.register_forward_hook(lambda m, i, out: seen.update(out=out.last_hidden_state))
    rows = batch(made, 2)
    SFT()(made(rows), rows).sum().backward()
    assert not seen["out"].requires_grad
    made(rows.with_images(rows.images.clone().requires_grad_()))
    assert seen["out"].requires_grad  # an attack's, on the same tower


def test_assert_quantized_wants_the_right_kind() -> None:
    language = family(bits=4, lora=None).base.model.language_model
    with pytest.raises(RuntimeError, match="Expected 8-bit layers in the language model but found Linear4bit"):
        assert_quantized(language, [], bits=8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Quantization(bits=2), r"Expected `bits` to be 4, 8 or 16 \(no quantisation\) but got 2"),
        (lambda: Quantization(outlier_threshold=-1.0), r"Expected `outlier_threshold` of at least 0 but got -1.0"),
        (lambda: Lora(r=0), r"Expected `r` of at least 1 but got 0; `lora: null`"),
        (lambda: Lora(dropout=1.0), r"Expected `dropout` in \[0, 1\) but got 1.0"),
    ],
)
def test_exception_settings(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
