"""What is measured of each family: the tests set bounds to these figures, `benchmarks.families` prints them."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch.nn import functional as F

import lit_vlr.models
from lit_vlr.datamodule import ScenesDataModule
from lit_vlr.models import Lora, Quantization
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.models.quantization import quantized_layers
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.types import Batch, Sample
from lit_vlr_callbacks import AdversarialTraining, attack_batch
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests.models import _reference as reference

CPU = torch.device("cpu")
UNCHANGED = {"Idefics3": (32, 32), "SmolVLM": (32, 32), "LlavaNext": (32, 32), "InternVL": (32, 16)}
"""Sizes (else 16 x 16) of which the processor resizes at most the tile that shows the whole picture."""
RESIZED = ((40, 24), (20, 90))
QUESTIONS = ("What?", "What colour is the thing on the left?", "Why", "Is it red or is it green?")


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Waves and some noise, (H, W, 3) uint8: within the range nearly everywhere, as photographs are."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([127 + 100 * np.sin(x / 7 + c) * np.cos(y / 5 + 2 * c) for c in range(3)], -1)
    noise = np.random.default_rng(seed).normal(0, 5, waves.shape)
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


def samples(sizes: tuple[tuple[int, int], ...]) -> list[Sample]:
    return [
        Sample(f"mine/{i}", picture(*size, seed=i), f"{i}", QUESTIONS[i % len(QUESTIONS)], ("red",) * 10)
        for i, size in enumerate(sizes)
    ]


def batch(made: TransformersFamily, *sizes: tuple[int, int]) -> Batch:
    """Pictures of these sizes, with answers of different length."""
    answers = ("red", "bright green", "it is", "7")
    return made.collate(samples(sizes), [answers[i % 4] for i in range(len(sizes))])


def plain(name: str, folder: Path, **kwargs: Any) -> TransformersFamily:
    """Unquantised, without adapters."""
    made: TransformersFamily = getattr(lit_vlr.models, name)(str(folder), Quantization(bits=16), None, **kwargs)
    made.load(CPU)
    return made.eval()


def qlora(name: str, folder: Path, **lora: Any) -> TransformersFamily:
    """In 4 bit, with adapters."""
    torch.manual_seed(0)
    made: TransformersFamily = getattr(lit_vlr.models, name)(str(folder), lora=Lora(r=4, dropout=0.0, **lora))
    made.load(CPU)
    return made.eval()


@cache
def reference_model(folder: Path) -> Any:
    return reference.plain_model(folder)


def pixels(made: TransformersFamily, name: str, folder: Path, size: tuple[int, int]) -> tuple[float, float]:
    """Largest difference to the image processor's output, in units of 1/255 of a pixel: of the parts of the picture
    that are at hand, and of the tile that shows the whole where there are both."""
    image = picture(*size)
    options = {"crop_to_patches": True} if name == "InternVL" else {}
    found = made.pixel_inputs([torch.from_numpy(image).permute(2, 0, 1).float() / 255])["pixel_values"]
    expected = reference.image_processor(name, folder)([image], return_tensors="pt", **options)["pixel_values"]
    std = min(made.preprocessing["image_std"])
    difference = (found - expected.reshape(found.shape)).abs() * std * 255
    if difference.dim() == 2 or len(difference) == 1:
        return float(difference.max()), 0.0
    whole = 0 if name.startswith("Llava") else len(difference) - 1
    parts = torch.cat([difference[:whole], difference[whole + 1 :]])
    return float(parts.max()), float(difference[whole].max())


def parity(
    made: TransformersFamily, name: str, folder: Path, *sizes: tuple[int, int], own_pixels: bool = True
) -> tuple[float, float]:
    """Largest difference of answer logits, and of losses, between a padded batch and plain rows; prompts are equal.

    With ``own_pixels`` plain transformers gets the pixels of `pixel_inputs`: all but their rounding is compared.
    """
    rows = batch(made, *sizes)
    with torch.no_grad():
        output = made(rows)
    losses = SFT()(output, rows)
    logit, loss = 0.0, 0.0
    for i, sample in enumerate(rows.samples):
        assert isinstance(sample.image, np.ndarray)
        row = reference.inputs(name, folder, made.prompt, sample.question, sample.image)
        assert row["input_ids"][0].tolist() == rows.prompt_ids[i][rows.prompt_mask[i].bool()].tolist()
        if own_pixels:
            row["pixel_values"] = made.pixel_inputs([rows.images[i]])["pixel_values"].reshape(row["pixel_values"].shape)
        answer = made.answer_tokens(rows.targets[i])
        expected = reference.answer_logits(reference_model(folder), row, answer)
        logit = max(logit, float((output.answer_logits[output.answer_rows == i] - expected).abs().max()))
        loss = max(loss, abs(float(losses[i] - F.cross_entropy(expected, torch.tensor(answer)))))
    return logit, loss


def reached(made: TransformersFamily, *sizes: tuple[int, int]) -> float:
    """Share of the pixels that the loss has a gradient to, after a pass without gradients; all are finite."""
    rows = batch(made, *sizes)
    made.generate(rows, 1)
    images = [image.clone().requires_grad_() for image in rows.images]
    loss = SFT()(made(rows.with_images(images)), rows).sum()
    gradients = torch.cat([g.flatten() for g in torch.autograd.grad(loss, images)])
    assert gradients.isfinite().all()
    return float((gradients != 0).float().mean())


def counts(made: TransformersFamily) -> dict[str, int]:
    """4-bit layers, and trained parameters by tower; ``lora`` counts tensors of adapters."""
    found: Counter[str] = Counter({"4bit": len(quantized_layers(made.base))})
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:
            kind = "lora" if "lora_" in name else "full"
            found[f"{made.tower_of(name)} {kind}"] += 1 if kind == "lora" else parameter.numel()
    return dict(found)


def batch_effect(made: TransformersFamily, *sizes: tuple[int, int]) -> float:
    """Largest difference of a token's log-probability between rows generated together and alone; texts are equal."""
    rows = samples(sizes)
    together = made.generate(made.collate(rows, [""] * len(rows)), 6)
    worst = 0.0
    for i, sample in enumerate(rows):
        alone = made.generate(made.collate([sample], [""]), 6)
        n = int(alone.token_mask.sum())
        assert alone.texts[0] == together.texts[i]
        assert alone.tokens[0, :n].tolist() == together.tokens[i, :n].tolist()
        worst = max(worst, float((alone.token_log_probs[0, :n] - together.token_log_probs[i, :n]).abs().max()))
    return worst


def attacked(made: TransformersFamily) -> tuple[float, float]:
    """Mean loss on clean pictures, and after PGD at 8/255."""
    module = SelectiveVLM(made, SFT())
    rows = batch(made, (16, 16), (16, 16))
    clean = module.attack_loss(rows.images, rows).mean().detach()
    result = attack_batch(module, rows, PGD(Linf("8/255"), steps=4))
    return float(clean), float(module.attack_loss(result.images, rows).mean().detach())


def train_a_step(made: TransformersFamily, folder: Path) -> tuple[set[str], set[str]]:
    """One adversarial training step and one validation step through Lightning: what changed, and what should have."""
    module = SelectiveVLM(made, SFT(), max_new_tokens=2)
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    data = ScenesDataModule(train_size=2, calibration_size=2, test_size=1, ood_size=0, batch_size=2, eval_batch_size=2)
    attack = AdversarialTraining(PGD(Linf("4/255"), steps=1, keep_best=False))
    Trainer(
        default_root_dir=folder, accelerator="cpu", fast_dev_run=True, callbacks=[attack], enable_model_summary=False
    ).fit(module, data)
    after = dict(made.named_parameters())
    changed = {n for n, p in before.items() if p.dtype.is_floating_point and not torch.equal(p, after[n])}
    # The first step of a LoRA changes B only: B is zero, and so is A's gradient.
    wanted = {n for n, p in after.items() if p.requires_grad and "lora_A" not in n}
    return changed, wanted
