"""Lightning Vision-Language Reliability.

``import lit_vlr`` imports no model library; the names below are imported when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "SelectiveVLM": "lit_vlr.module",
    "BenchmarkDataModule": "lit_vlr.benchmark_datamodule",
    "OKVQADataModule": "lit_vlr.official_datamodules",
    "ScenesDataModule": "lit_vlr.datamodule",
    "build_report": "lit_vlr.report",
    "Batch": "lit_vlr.types",
    "Prediction": "lit_vlr.types",
    "SelectivePrediction": "lit_vlr.predictor",
    "SelectivePredictor": "lit_vlr.predictor",
    "Sample": "lit_vlr.types",
    "VLMOutput": "lit_vlr.types",
}
__all__ = ["__version__", *_WHERE]  # noqa: PLE0604, RUF100 - names that `__getattr__` provides


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _WHERE:
        raise AttributeError(f"module 'lit_vlr' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
