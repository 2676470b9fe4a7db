"""A deterministic generator of plausible runs: two arms, clean, attacked and out-of-domain sets, pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_vlr.predictions import PredictionWriter
from lit_vlr.types import Prediction

WORDS = ("seven", "triangle", "red", "wood", "it floats", "left", "striped", "a kite")
QUESTIONS = ("What digit is on the disc?", "How many sides has the largest shape?", "Which of these can float?")
# Mean accuracy of each arm on each set.
SKILL = {
    "standard": {
        "test": 0.78,
        "test+linf_pgd": 0.31,
        "test+rotation": 0.7,
        "ood_knowledge": 0.45,
        "ood_rephrased": 0.7,
    },
    "adversarial": {
        "test": 0.76,
        "test+linf_pgd": 0.64,
        "test+rotation": 0.74,
        "ood_knowledge": 0.46,
        "ood_rephrased": 0.7,
    },
}


def make_predictions(arm: str, name: str, n: int, *, has_labels: bool = True) -> list[Prediction]:
    """Two questions a picture; difficulty is shared by clean and attacked, so that pairs go together."""
    data, _, attack = name.partition("+")
    skill = SKILL[arm][name]
    difficulty = np.random.default_rng(sum(map(ord, data))).uniform(size=n)
    noise = np.random.default_rng(sum(map(ord, arm + name))).normal(size=(2, n))
    predictions = []
    for i in range(n):
        margin = skill - difficulty[i] + 0.12 * noise[0, i]
        accuracy = (0.0, 0.3, 0.6, 0.9, 1.0)[int(np.clip(2 + 12 * margin, 0, 4))]
        # An attacked standard model is confidently wrong: its confidence follows the truth less closely.
        slope = 1.5 if attack and arm == "standard" else 4.0
        confidence = round(float(1 / (1 + np.exp(-slope * margin - 0.7 - 0.5 * noise[1, i]))), 4)
        truth = WORDS[i % len(WORDS)]
        predictions.append(
            Prediction(
                uid=f"scenes/{data}/{i}",
                image_id=f"{data}-{i // 2}",
                question=QUESTIONS[i % len(QUESTIONS)],
                answer=truth if accuracy > 0.5 else WORDS[(i + 3) % len(WORDS)],
                confidence=confidence,
                abstained=confidence < 0.5,
                accuracy=accuracy if has_labels else None,
                answers=(truth,) * 7 + (WORDS[(i + 1) % len(WORDS)],) * 3 if has_labels else (),
            )
        )
    return predictions


def manifest(arm: str, name: str) -> dict[str, Any]:
    attack = name.partition("+")[2]
    return {
        "set": name,
        "attack": {"name": attack, "eps": 8 / 255, "steps": 20} if attack else None,
        "dialect": "no_skip",
        "threshold": 0.5,
        "model": f"checkpoints/{arm}.ckpt",
        "data": "scenes, seed 0",
        "seed": 0,
        "versions": {"lit_vlr": "0.1.0", "torch": "2.13.0"},
    }


def write_set(run: Path, name: str, predictions: Sequence[Prediction], **changes: Any) -> None:
    with PredictionWriter(run / "predictions" / f"{name}.jsonl", manifest(run.name, name) | changes) as writer:
        for prediction in predictions:
            writer.write(prediction)


def make_picture(seed: int, side: int = 64) -> np.ndarray:
    """A scene: a gradient, a square and a disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    picture = np.stack([0.3 + 0.4 * x, 0.35 + 0.3 * y, 0.5 - 0.2 * x], axis=-1)
    for _ in range(3):
        center, color, size = rng.uniform(0.2, 0.8, 2), rng.uniform(size=3), rng.uniform(0.1, 0.2)
        near = (y - center[0]) ** 2 + (x - center[1]) ** 2 < size**2
        box = (abs(y - center[0]) < size) & (abs(x - center[1]) < size)
        picture[near if rng.uniform() < 0.5 else box] = color
    return np.clip(picture + rng.normal(0, 0.02, picture.shape), 0, 1)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(255 * pixels).astype(np.uint8)).save(path)


def write_gallery(
    run: Path, name: str, count: int, *, eps: float | None = 8 / 255, side: int = 64
) -> list[dict[str, Any]]:
    """The first questions of a set, with the pictures that the arm saw."""
    data, _, attack = name.partition("+")
    n = max(count, 24)
    before, after = make_predictions(run.name, data, n), make_predictions(run.name, name, n)
    entries = []
    for i, (p, q) in enumerate(zip(before[:count], after[:count], strict=True)):
        safe = re.sub(r"\W+", "_", p.uid)
        clean = make_picture(i, side)
        noise = np.sign(np.random.default_rng([i, len(run.name)]).normal(size=clean.shape)) * (eps or 0.05)
        save(run / "gallery" / name / f"{safe}_clean.png", clean)
        save(run / "gallery" / name / f"{safe}.png", np.clip(clean + noise, 0, 1))
        entries.append(
            {
                "uid": p.uid,
                "set": name,
                "attack": attack,
                "clean_png": f"{name}/{safe}_clean.png",
                "attacked_png": f"{name}/{safe}.png",
                "question": p.question,
                "answers": list(p.answers),
                "clean_answer": p.answer,
                "clean_confidence": p.confidence,
                "clean_abstained": p.abstained,
                "clean_accuracy": p.accuracy,
                "attacked_answer": q.answer,
                "attacked_confidence": q.confidence,
                "attacked_abstained": q.abstained,
                "attacked_accuracy": q.accuracy,
                "eps": eps,
            }
        )
    (run / "gallery" / "index.json").write_text(json.dumps(entries))
    return entries


def write_runs(folder: Path, n: int = 120, *, pictures: int = 0) -> list[Path]:
    """Both arms with all of their sets."""
    runs = []
    for arm, sets in SKILL.items():
        run = folder / arm
        for name in sets:
            write_set(run, name, make_predictions(arm, name, n))
        if pictures:
            write_gallery(run, "test+linf_pgd", pictures)
        runs.append(run)
    return runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two whole runs; tests must not write into them."""
    return write_runs(tmp_path_factory.mktemp("runs"), pictures=3)


@pytest.fixture
def factory() -> dict[str, Callable[..., Any]]:
    """The functions above, for tests that need runs of their own (importlib mode has no importable test helpers)."""
    return {f.__name__: f for f in (make_predictions, make_picture, save, write_gallery, write_runs, write_set)}
