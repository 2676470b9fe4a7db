"""What holds of each model family, by really running it: against plain transformers, in 4 bit, under attack.

Tiny random checkpoints in the layout of real ones, on a CPU. Writes ``benchmarks/results/families.json``, and as
``families.md`` the table that docs/models.md quotes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from lit_vlr.audit.callback import audit
from lit_vlr.errors import AuditError
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from scripts.results import machine
from tests.models import _checks as checks
from tests.models._checkpoints import MAKERS, save

MIXED = ((16, 16), (40, 24), (20, 90))
HEADS = {
    "family": "family",
    "pixels": "pixels, 1/255",
    "resized": "resized, 1/255",
    "logits": "logits",
    "reached": "pixels reached",
    "4bit": "4-bit layers",
    "lora": "LoRA: language / vision",
    "projector": "projector",
    "batch": "batch 1 = N",
    "attack": "loss, attacked",
    "audit": "audit",
}


def measure(name: str) -> dict[str, Any]:
    """All figures of a family."""
    with tempfile.TemporaryDirectory() as where:
        folder = save(name, Path(where))
        plain, quantized = checks.plain(name, folder), checks.qlora(name, folder)
        size = checks.UNCHANGED.get(name, (16, 16))
        counts = checks.counts(quantized)
        clean, worse = checks.attacked(quantized)
        return {
            "family": name,
            "model_types": list(plain.model_types),
            "pixels": checks.pixels(plain, name, folder, size)[0],
            "resized": max(max(checks.pixels(plain, name, folder, other)) for other in checks.RESIZED),
            "logits": max(checks.parity(plain, name, folder, *MIXED)),
            "reached": checks.reached(quantized, (16, 16), (40, 24)),
            "4bit": counts["4bit"],
            "lora_language": counts.get("language lora", 0),
            "lora_vision": counts.get("vision lora", 0),
            "projector": counts.get("projector full", 0),
            "batch": checks.batch_effect(plain, *MIXED),
            "loss_clean": clean,
            "loss_attacked": worse,
            **audited(quantized),
        }


def audited(made: TransformersFamily) -> dict[str, str | None]:
    """Whether the audit at the start of a fit lets the model pass; what its positions are made of."""
    module = SelectiveVLM(made, SFT())
    try:
        report = audit(module, checks.batch(made, (16, 16), (16, 16)))
    except AuditError as error:
        return {"audit": f"stops: {error}", "rope": None}
    return {"audit": "passes", "rope": report.rope}


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = [f"| {' | '.join(HEADS.values())} |", "|---" * len(HEADS) + "|"]
    for row in rows:
        cells = [
            row["family"],
            f"{row['pixels']:.0e}" if row["pixels"] else "0",
            f"{row['resized']:.1f}",
            f"{row['logits']:.0e}",
            f"{100 * row['reached']:.1f}%",
            str(row["4bit"]),
            f"{row['lora_language']} / {row['lora_vision']}",
            f"{row['projector']:,}",
            f"{row['batch']:.0e}",
            f"{row['loss_clean']:.2f} → {row['loss_attacked']:.2f}",
            row["audit"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    rows = [measure(name) for name in given.families]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "families.json").write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    (given.out / "families.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
