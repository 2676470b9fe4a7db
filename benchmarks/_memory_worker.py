"""One variant of `benchmarks.memory` in a process of its own, so that its peak is nobody else's."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

import lit_vlr.models
from lit_vlr.models import Lora, Quantization
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.objectives import SFT
from lit_vlr.types import Batch, Sample

Step = Callable[[], torch.Tensor]
RANK, ALPHA = 16, 32


def resident() -> tuple[float, float]:
    """Bytes of this process in memory: now, and at most since the last `forget_peak`."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return tuple(1024.0 * int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def forget_peak(device: torch.device) -> None:
    """Let the next peak be that of what follows."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")


def used(device: torch.device) -> tuple[float, float]:
    """Bytes now, and at most since the last `forget_peak`."""
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device)), float(torch.cuda.max_memory_allocated(device))
    return resident()


def lit_vlr_step(family: TransformersFamily, batch: Batch, recompute: bool, device: torch.device) -> tuple[Any, Step]:
    """The package's load path and training step."""
    family.load(device)
    family.train()
    assert family.gradient_checkpointing == recompute
    objective = SFT()
    return family, lambda: objective(family(batch), batch).mean()


def plain_step(
    family: TransformersFamily, folder: str, batch: Batch, recompute: bool, device: torch.device
) -> tuple[Any, Step]:
    """Transformers and peft as their guides have it: prepared for k-bit training, labels into the model.

    The same layers are quantised, adapted and trained as in the other variant.
    """
    model: Any = AutoModelForImageTextToText.from_pretrained(
        folder,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=list(family.quantization_skip),
        ),
        dtype=torch.bfloat16,
        device_map={"": device} if device.type == "cuda" else None,
    )
    model = prepare_model_for_kbit_training(
        model, use_gradient_checkpointing=recompute, gradient_checkpointing_kwargs={"use_reentrant": False}
    )
    targets = "|".join(f"(?:{target})" for target in family.lora_targets)
    projector = list(family.towers.projector)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, modules_to_save=projector)
    model = get_peft_model(model, config).train()
    pixels = family.pixel_inputs([image for image in batch.images])
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": batch.labels, **pixels}
    if "image_grid_thw" in pixels:
        inputs["mm_token_type_ids"] = (batch.input_ids == family.config.image_token_id).int()
    return model, lambda: model(**inputs).loss


def make_batch(family: TransformersFamily, rows: int, side: int) -> Batch:
    """Random pictures, questions of forty letters, answers of four: the loss of both variants is one mean."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (rows, side, side, 3), dtype=np.uint8)
    samples = [Sample(f"{i}", picture, f"{i}", "what is there " * 3, ()) for i, picture in enumerate(pictures)]
    return family.collate(samples, ["kite"] * rows)


def main(given: dict[str, Any]) -> dict[str, float]:
    """Load, step, measure."""
    torch.set_num_threads(given["threads"])
    device = torch.device(given["device"])
    quantization = Quantization(compute_dtype="bfloat16")
    family: TransformersFamily = getattr(lit_vlr.models, given["family"])(
        given["folder"],
        quantization=quantization,
        lora=Lora(r=RANK, alpha=ALPHA, dropout=0.0),
        gradient_checkpointing=given["recompute"],
    ).to(device)
    batch = make_batch(family, given["rows"], given["side"]).to(device)
    before, _ = used(device)
    forget_peak(device)
    torch.manual_seed(0)
    started = time.perf_counter()
    if given["variant"] == "lit_vlr":
        model, loss_of = lit_vlr_step(family, batch, given["recompute"], device)
    else:
        model, loss_of = plain_step(family, given["folder"], batch, given["recompute"], device)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    loading = time.perf_counter() - started
    for parameter in model.parameters():
        parameter.detach().amax()  # else weights that nothing has touched yet are in the file, not in memory
    loaded, load_peak = used(device)
    forget_peak(device)
    seconds, busy, losses = [], [], []
    for _ in range(1 + given["steps"]):
        started, process = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())  # also waits for the device
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - process)
    _, peak = used(device)
    return {
        "loaded_mib": (loaded - before) / 2**20,
        "load_peak_mib": (load_peak - before) / 2**20,
        "peak_mib": (peak - before) / 2**20,
        "seconds_per_step": float(np.median(seconds[1:])),
        "cpu_seconds_per_step": float(np.median(busy[1:])),
        "seconds_to_load": loading,
        "trained": float(sum(p.numel() for p in model.parameters() if p.requires_grad)),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
