"""What becomes of a threshold's guarantee where questions are not drawn as the calibration split was.

Thresholds are chosen on calibration splits drawn again and again from one population, and judged on it and on shifted
ones. Populations are tables (how frequent a confidence is, how wrong answers of that confidence are), so every risk
below is exact and no test set is drawn. Writes ``benchmarks/results/guarantee_ood.json``, and as ``guarantee_ood.md``
the table that docs/guarantees.md quotes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lit_vlr.functional import (
    ThresholdChoice,
    conformal_threshold,
    empirical_threshold,
    learn_then_test_threshold,
    sgr_threshold,
)
from scripts.results import machine

Floats = npt.NDArray[np.float64]
RISK, DELTA, N, PER_PICTURE = 0.1, 0.05, 1000, 10
LEVELS = np.arange(1, 4001) / 4001  # confidences, ascending
COLUMNS = ("violated", "risk", "generalised_risk", "coverage", "oracle_coverage")
METHODS: dict[str, Callable[[Floats, Floats], ThresholdChoice]] = {
    "ltt": lambda c, a: learn_then_test_threshold(c, a, RISK, DELTA, starts=3),
    "sgr": lambda c, a: sgr_threshold(c, a, RISK, DELTA),
    "crc": lambda c, a: conformal_threshold(c, a, RISK),
    "empirical": lambda c, a: empirical_threshold(c, a, RISK),
}


@dataclass(frozen=True)
class Population:
    """All questions there are, as a table over `LEVELS`.

    Attributes:
        mass: share of the questions with this confidence, (K,).
        error: share of these that are answered wrongly, (K,).
    """

    mass: Floats
    error: Floats

    def above(self, threshold: Floats) -> tuple[Floats, Floats]:
        """Exact coverage, and exact generalised risk, of answering from a threshold on; +inf answers nothing."""
        place = np.searchsorted(LEVELS, threshold)
        coverage = np.append(np.cumsum(self.mass[::-1])[::-1], 0.0)
        wrong = np.append(np.cumsum((self.mass * self.error)[::-1])[::-1], 0.0)
        return coverage[place], wrong[place]

    def best_coverage(self) -> float:
        """The largest coverage whose risk is within `RISK`: what an oracle would answer."""
        coverage, wrong = self.above(LEVELS)
        return float(coverage[wrong <= RISK * coverage].max(initial=0.0))


def populations() -> dict[str, Population]:
    """The one that is calibrated on, first, and what may become of it."""
    uniform = np.full(len(LEVELS), 1 / len(LEVELS))
    error = 0.005 + 0.4 * (1 - LEVELS)
    harder = (1 - LEVELS) / (1 - LEVELS).sum()
    return {
        "in domain": Population(uniform, error),
        # Covariate shift: unsure answers are more frequent, each confidence is as right as before.
        "harder questions": Population(harder, error),
        # Concept shift: a confidence no longer means what it meant.
        "overconfident": Population(uniform, np.minimum(1.0, error + 0.05)),
        # A tenth of the answers is turned wrong, and the confidence does not notice.
        "attacked": Population(uniform, error + 0.1 * (1 - error)),
    }


def splits(population: Population, resamples: int, per_picture: int) -> Iterator[tuple[Floats, Floats]]:
    """Calibration splits of `N` questions: confidence and correctness, (N,) each.

    Args:
        population: what is drawn from.
        resamples: how many.
        per_picture: so many questions share a picture, and with it the luck that decides whether they are answered
            rightly; 1 makes them independent. Each question by itself is drawn from the population in any case.
    """
    generator = np.random.default_rng(0)
    for _ in range(resamples):
        place = generator.choice(len(LEVELS), N, p=population.mass)
        luck = np.repeat(generator.random(-(-N // per_picture)), per_picture)[:N]
        yield LEVELS[place], (luck >= population.error[place]).astype(np.float64)


def measure(resamples: int) -> list[dict[str, Any]]:
    """One row a method, way of drawing and population."""
    worlds = populations()
    rows: list[dict[str, Any]] = []
    for per_picture in (1, PER_PICTURE):
        drawn = list(splits(worlds["in domain"], resamples, per_picture))
        for method, choose in METHODS.items():
            thresholds = np.array([choose(confidence, correctness).threshold for confidence, correctness in drawn])
            for name, world in worlds.items():
                if per_picture == 1:
                    rows.append({"method": method, "population": name, **judge(thresholds, world)})
                elif name == "in domain":
                    said = f"{name}, {per_picture} questions a picture"
                    rows.append({"method": method, "population": said, **judge(thresholds, world)})
    return rows


def judge(thresholds: Floats, world: Population) -> dict[str, float]:
    """What thresholds do in a population; for thresholds that abstain on everything, risk is 0."""
    coverage, wrong = world.above(thresholds)
    risk = np.divide(wrong, coverage, out=np.zeros_like(wrong), where=coverage > 0)
    return {
        "violated": float((risk > RISK).mean()),
        "risk": float(risk.mean()),
        "generalised_risk": float(wrong.mean()),
        "coverage": float(coverage.mean()),
        "oracle_coverage": world.best_coverage(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, in percent; in bold what breaks the method's promise."""
    lines = [
        "| method | population | risk > 10% in | mean risk | mean generalised risk | coverage | oracle's coverage |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [f"{100 * row[key]:.1f}" for key in COLUMNS]
        if row["method"] in ("ltt", "sgr") and row["violated"] > DELTA:
            cells[0] = f"**{cells[0]}**"
        if row["method"] == "crc" and row["generalised_risk"] > RISK:
            cells[2] = f"**{cells[2]}**"
        lines.append(f"| {row['method']} | {row['population']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--resamples", type=int, default=1000)
    args = parser.parse_args()
    started = time.time()
    rows = measure(args.resamples)
    result = {
        "command": "python -m benchmarks.guarantee_ood",
        "machine": machine(),
        "seconds": round(time.time() - started, 1),
        "settings": {"target_risk": RISK, "delta": DELTA, "n": N, "resamples": args.resamples, "ltt_starts": 3},
        "rows": rows,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "guarantee_ood.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (args.out / "guarantee_ood.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
