"""Small files of answers for the tests of what reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lit_vlr.predictions import MANIFEST_KEYS, PredictionWriter
from lit_vlr.types import Prediction


def predictions(n: int = 200, seed: int = 0, soft: bool = True, ceiling: float = 1.0) -> list[Prediction]:
    """Answers that are the surer the righter, two a picture, withheld below a confidence of .3."""
    generator = np.random.default_rng(seed)
    confidence = generator.random(n)
    accuracy = (generator.random(n) < confidence**0.3 * ceiling).astype(float)
    if soft:
        accuracy *= generator.choice([0.6, 1.0], n, p=[0.05, 0.95])
    return [
        Prediction(f"toy/cal/{i}", f"img{i // 2}", "What?", "a kite", float(c), bool(c < 0.3), float(a), ("kite",) * 10)
        for i, (c, a) in enumerate(zip(confidence, accuracy, strict=True))
    ]


def write(path: Path, rows: Sequence[Prediction], **manifest: Any) -> Path:
    """A predictions file with its manifest."""
    entries = dict.fromkeys(MANIFEST_KEYS) | {"set": "calibration", "confidence": "SequenceProbability()"} | manifest
    with PredictionWriter(path, entries) as writer:
        for row in rows:
            writer.write(row)
    return path


def annotations(path: Path, answers: dict[int, Sequence[str]]) -> Path:
    """Annotations in the official VQAv2 format; two questions a picture."""
    rows = [
        {
            "question_id": key,
            "image_id": key // 2,
            "question_type": "what is",
            "answer_type": "other",
            "multiple_choice_answer": said[0],
            "answers": [
                {"answer": text, "answer_confidence": "yes", "answer_id": i} for i, text in enumerate(said, start=1)
            ],
        }
        for key, said in answers.items()
    ]
    path.write_text(json.dumps({"info": {}, "data_subtype": "val2014", "annotations": rows}))
    return path
