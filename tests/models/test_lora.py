"""DoRA and rank-stabilised LoRA through peft: counts, a step, and adapters in plain peft."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import LlavaForConditionalGeneration

from lit_vlr.models import Llava, Lora
from lit_vlr.models.quantization import Bits, guard_cpu_kernels
from lit_vlr.models.tiny import TINY_LLAVA
from lit_vlr.objectives import SFT
from tests._tiny import batch, family

KINDS = {
    "lora": Lora(r=4, alpha=8, dropout=0.0),
    "rslora": Lora(r=4, alpha=8, dropout=0.0, rslora=True),
    "dora": Lora(r=4, alpha=8, dropout=0.0, dora=True),
}


def jiggle(made: Llava) -> None:
    """Move everything that trains, so that no update is zero."""
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_weights_train_as_the_shapes_say(kind: str) -> None:
    made = family(lora=KINDS[kind])
    text = made.config.text_config
    d, f, kv = text.hidden_size, text.intermediate_size, text.num_key_value_heads * text.head_dim
    shapes = [(d, d), (kv, d), (kv, d), (d, d), (f, d), (f, d), (d, f)]  # q k v o gate up down: (out, in)
    expected = sum(4 * (out + into) + (out if kind == "dora" else 0) for out, into in shapes) * text.num_hidden_layers
    projector = sum(p.numel() for p in made.base.model.multi_modal_projector.modules_to_save["default"].parameters())
    assert sum(p.numel() for p in made.parameters() if p.requires_grad) == expected + projector


@pytest.mark.parametrize(("kind", "scale"), [("lora", 8 / 4), ("rslora", 8 / 4**0.5), ("dora", 8 / 4)])
def test_the_scale_is_that_of_the_paper(kind: str, scale: float) -> None:
    layer = family(lora=KINDS[kind]).base.model.language_model.layers[0].mlp.up_proj
    assert layer.scaling["default"] == pytest.approx(scale)


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_lower_the_loss(kind: str, bits: Bits) -> None:
    torch.manual_seed(0)
    made = family(bits=bits, lora=KINDS[kind]).train()
    rows = batch(made, 4)
    optimizer = torch.optim.AdamW([p for p in made.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = SFT()(made(rows), rows).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_adapters_load_in_plain_peft_with_the_same_logits(kind: str, bits: Bits, tmp_path: Path) -> None:
    made = family(bits=bits, lora=KINDS[kind]).eval()
    jiggle(made)
    made.save_adapter(str(tmp_path))
    base = LlavaForConditionalGeneration.from_pretrained(
        TINY_LLAVA,
        quantization_config=made.quantization.config(made.quantization_skip, torch.float32),
        dtype=torch.float32,
    )
    guard_cpu_kernels(base)
    again = PeftModel.from_pretrained(base, str(tmp_path)).eval()
    rows = batch(made, 3)
    with torch.no_grad():
        expected = made(rows)
        logits = again(
            input_ids=rows.input_ids, attention_mask=rows.attention_mask, pixel_values=(rows.images - 0.5) / 0.5
        ).logits
    at = rows.labels[:, 1:] != -100
    torch.testing.assert_close(logits[:, :-1][at], expected.answer_logits, atol=1e-5, rtol=1e-5)
