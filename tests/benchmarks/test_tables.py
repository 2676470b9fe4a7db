"""The short tables of studies hold the study's own figures."""

from __future__ import annotations

import re

from lit_vlr.study.table import make_table
from scripts.tables import compared, table
from tests.study._studies import scored

EASY = ([0.9, 0.8, 0.6, 0.2], [1.0, 1.0, 1.0, 0.0], 0.5)
HARD = ([0.9, 0.8, 0.6, 0.2], [0.0, 1.0, 0.0, 0.0], 0.5)
MADE = make_table(
    {
        "test": {"sft": {0: scored(*EASY), 1: scored(*EASY)}, "robust": {0: scored(*EASY)}},
        "test+pgd": {"sft": {0: scored(*HARD)}, "robust": {0: scored(*EASY)}},
    },
    "sft",
    0.1,
    (10,),
    20,
)


def figures(line: str) -> list[float]:
    return [float(cell.split()[0].replace("−", "-")) for cell in line.strip("| ").split(" | ")[2:]]


def test_a_row_an_arm_with_accuracy_area_and_reliability() -> None:
    lines = table(MADE, ["test", "test+pgd"]).splitlines()
    assert [line for line in lines if line.startswith("**")] == ["**test**", "**test+pgd**"]
    rows = [line for line in lines if re.match(r"\| (sft|robust) ", line)]
    assert [row.split(" | ")[1] for row in rows] == ["4 × 2", "4 × 1", "4 × 1", "4 × 1"]
    # Three right answers are given, and none wrong. Risks of 1 to 4 answers: 0, 0, 0, 1/4.
    assert figures(rows[0]) == [75.0, 0.062, 0.75]
    # One of three given answers is right: (1 - 2 · 10) / 4.
    assert figures(rows[2])[2] == -4.75


def test_arms_are_compared_with_the_baseline_on_the_same_set() -> None:
    lines = compared(MADE, ["test+pgd"]).splitlines()
    (row,) = [line for line in lines if "| robust |" in line]
    area, risk, points = figures(row)
    assert risk == 0  # nothing that it gives is wrong
    assert points == 50.0
    assert 0 < area < 1
    assert "| test |" not in "".join(lines)
