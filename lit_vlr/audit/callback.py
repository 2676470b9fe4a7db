"""The audit as a Lightning callback."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_vlr.audit.counts import TowerCounts, check_counts, check_kernels, count_towers
from lit_vlr.audit.gradients import check_flow, gradient_flow, untouched
from lit_vlr.audit.inputs import (
    check_pixels,
    check_placeholders,
    check_precision,
    check_rope_inputs,
    needs_rope_inputs,
)
from lit_vlr.audit.memory import check_memory, estimate, saved_by_autograd
from lit_vlr.audit.table import AuditReport, print_report
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.models.memory import device_memory
from lit_vlr.module import SelectiveVLM
from lit_vlr.types import Batch
from lit_vlr_callbacks.batch import select_rows


class FitAudit(Callback):
    """Looks at model, batch and machine before the first step, prints what it found, and stops what cannot work.

    Put it before callbacks that attack: what it says of the pictures is then said of those in the data. Training goes
    on bit for bit as without it.

    Attributes:
        report: of the last fit; None before.

    Raises:
        AuditError: naming what is wrong and the remedy.
    """

    def __init__(self) -> None:
        self.report: AuditReport | None = None
        self._due = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the model; the first batch is looked at where it is handed to the module."""
        assert isinstance(pl_module, SelectiveVLM)
        family = pl_module.family
        self._due = isinstance(family, TransformersFamily)
        check_precision(trainer.precision, trainer.precision_plugin.convert_input(torch.zeros(1)).dtype)
        if isinstance(family, TransformersFamily):
            _check_model(family)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Look at the first batch."""
        if not self._due:
            return
        self._due = False
        assert isinstance(pl_module, SelectiveVLM)
        with trainer.precision_plugin.forward_context():
            self.report = audit(pl_module, batch)
        if trainer.is_global_zero:
            print_report(self.report)


def audit(module: SelectiveVLM, batch: Batch) -> AuditReport:
    """Check a loaded model on a real batch, and report.

    Args:
        module: with a family that transformers implements.
        batch: on the module's device; its longest row is computed with, forward and backward.

    Raises:
        AuditError: naming what is wrong and the remedy.
    """
    family = module.family
    assert isinstance(family, TransformersFamily)
    base, device = family.base, module.device
    counts = _check_model(family)
    pixels = check_pixels(batch.images)
    longest = batch.attention_mask.sum(1).argmax()[None].cpu()
    one: Batch = select_rows(batch, longest, len(batch))
    images = one.images if isinstance(one.images, Tensor) else torch.stack(one.images)
    trained = {name: p for name, p in family.named_parameters() if p.requires_grad}
    seen: dict[str, Any] = {}
    with untouched(module, device), _inputs_of(base.model, seen):
        features = _features(family, batch)
        # As in a validation before training: the pass without gradients that broke CPUs with AVX512-BF16.
        with torch.no_grad():
            _all_modes(module, False)
            module.attack_loss(images, one)
            check_kernels(base)
        _all_modes(module, True)
        with saved_by_autograd(base, base.config.get_text_config().vocab_size) as saved:
            flow = gradient_flow(lambda pictures: module.attack_loss(pictures, one), images, trained, family.towers.of)
    check_flow(flow)
    memory = estimate(base, module.optimisation.optimizer, saved, len(batch))
    available = device_memory(device)
    check_memory(memory, available, device)
    ends = (min(features), max(features))
    return AuditReport(counts, flow, pixels, ends, seen.get("rope"), memory, available, str(device), len(batch))


def _check_model(family: TransformersFamily) -> dict[str, TowerCounts]:
    """What needs no batch."""
    check_kernels(family.base)
    counts = count_towers(family.base, family.towers.of)
    trained = getattr(family, "trained", ())  # of families that can train a tower in full
    check_counts(counts, family.quantization.bits, family.lora, trained)
    return counts


def _features(family: TransformersFamily, batch: Batch) -> list[int]:
    """Features a picture, once every row was found to have as many placeholders."""
    with torch.no_grad():
        features = [len(one) for one in family.image_features(batch.images)]
    for what in ("input_ids", "prompt_ids"):
        check_placeholders(getattr(batch, what), family.config.image_token_id, features, what, batch.uids)
    return features


def _inputs_of(body: torch.nn.Module, seen: dict[str, Any]) -> Any:  # noqa: ANN401 - a hook's handle, a context manager
    """Check what the body is given on each call, where its positions have three axes."""

    def look(_module: torch.nn.Module, _args: tuple[Any, ...], given: dict[str, Any]) -> None:
        if needs_rope_inputs(body):
            seen["rope"] = check_rope_inputs(given)

    return body.register_forward_pre_hook(look, with_kwargs=True)


def _all_modes(module: torch.nn.Module, training: bool) -> None:
    """Set the flag itself: layers override ``train()`` to do more."""
    for part in module.modules():
        part.training = training
