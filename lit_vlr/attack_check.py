"""An attack on a `SelectiveVLM`, looked at for the signs of a weak one."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from lit_vlr.module import SelectiveVLM
from lit_vlr.types import Batch
from lit_vlr_callbacks import check_attack
from lit_vlr_callbacks.attacks import Attack
from lit_vlr_callbacks.batch import ordinary, read_images, select_rows
from lit_vlr_callbacks.isolation import isolated_loss


def checked(pl_module: SelectiveVLM, batch: Batch, attack: Attack, n: int, seed: int = 0) -> dict[str, Any]:
    """Check an attack on the first ``n`` questions of a batch; the module is left as it was.

    Without a bound an answer must become one that no annotator gave, where annotators gave any.

    Returns:
        The verdict of `lit_vlr_callbacks.check_attack` as JSON has it, None for what is not a finite number, and the
        number of questions ``n``.
    """
    few: Batch = select_rows(batch, torch.arange(min(n, len(batch))), len(batch))
    images = read_images(few, "images")

    def broken(attacked: Tensor) -> Tensor:
        return torch.tensor([p.accuracy == 0 for p in pl_module.answer(few.with_images(attacked))])

    labelled = all(sample.answers for sample in few.samples)
    generator = torch.Generator().manual_seed(seed)
    with isolated_loss(pl_module, few, images.device, size=len(few)) as loss_fn:
        verdict = check_attack(loss_fn, attack, ordinary(images), generator, broken if labelled else None)
    found = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(verdict).items()
    }
    return {"n": len(few), **found, "problems": list(verdict.problems)}
