"""The audit as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, Group
from rich.table import Column, Table

from lit_vlr.audit.counts import TowerCounts
from lit_vlr.audit.gradients import GradientFlow
from lit_vlr.audit.memory import MemoryEstimate
from lit_vlr.models.memory import DeviceMemory, gibibytes


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        counts: of each tower.
        flow: where gradients arrive.
        pixels: least and greatest value of the batch's pictures.
        features: image tokens a picture, fewest and most.
        rope: the input that M-RoPE makes positions of; None for models with plain positions.
        memory: what a step needs.
        device: what there is.
        device_name: of what.
        rows: of the batch.
    """

    counts: Mapping[str, TowerCounts]
    flow: GradientFlow
    pixels: tuple[float, float]
    features: tuple[int, int]
    rope: str | None
    memory: MemoryEstimate
    device: DeviceMemory
    device_name: str
    rows: int


def print_report(report: AuditReport, console: Console | None = None) -> None:
    """Print two tables: weights by tower, and the rest a line each."""
    (console or Console()).print(Group(_towers(report), _facts(report)))


def _towers(report: AuditReport) -> Table:
    heads = ("4 bit", "8 bit", "as they are", "adapters", "trained", "reached")
    table = Table("tower", *(Column(head, justify="right") for head in heads), title="Audit")
    for tower, found in report.counts.items():
        if not (found.four_bit or found.eight_bit or found.plain or found.lora):
            continue
        numbers = (found.four_bit, found.eight_bit, found.plain, found.lora, found.trained)
        trained = report.flow.trained.get(tower, 0)
        reached = f"{report.flow.reached[tower]} of {trained}" if trained else ""
        table.add_row(tower, *(f"{number:,}" if number else "" for number in numbers), reached)
    return table


def _facts(report: AuditReport) -> Table:
    low, high = report.pixels
    fewest, most = report.features
    need = report.memory
    parts = ("weights", "gradients", "optimizer", "activations", "logits")
    table = Table.grid(Column(), Column(), padding=(0, 2))
    table.add_row("pixels", f"float32, {low:.3g} to {high:.3g}; a gradient reaches {report.flow.pixels:.1%} of them")
    table.add_row(
        "image tokens", f"{fewest if fewest == most else f'{fewest} to {most}'} a picture, as many as features"
    )
    if report.rope is not None:
        table.add_row("M-RoPE", f"made of `{report.rope}`")
    table.add_row(
        f"memory, {report.rows} rows",
        f"{gibibytes(need.total)} of {gibibytes(report.device.total)} on {report.device_name}: "
        + ", ".join(f"{part} {gibibytes(getattr(need, part))}" for part in parts),
    )
    return table
