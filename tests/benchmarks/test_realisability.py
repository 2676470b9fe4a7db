"""The benchmark of attacks as files, on the embedded model."""

from __future__ import annotations

import pytest

from benchmarks import realisability
from lit_vlr.data.scenes import make_scenes
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from tests._tiny import family


def test_table_by_hand() -> None:
    row = {
        "threat": "L∞",
        "clean_accuracy": 0.7,
        "n": 10,
        "attacked_accuracy": 0.3,
        "png_accuracy": 0.35,
        "fooled": 4,
        "still_fooled": 3,
        "largest_change": 2 / 255,
    }
    assert realisability.table([row]).splitlines()[-1] == "| L∞ | 70.0 | 30.0 | 35.0 | 4 of 10 | 3 (75%) | 2 |"


@pytest.mark.slow
def test_whole_steps_of_eps_are_kept_and_halves_are_not() -> None:
    module = SelectiveVLM(family(), SFT(), max_new_tokens=4).eval()
    rows = {row["threat"]: row for row in realisability.measure(module, make_scenes("test", 4), 1)}
    assert list(rows) == list(realisability.THREATS)
    changes = {name: round(255 * row["largest_change"]) for name, row in rows.items()}
    assert (changes["L∞, 1/255"], changes["L∞, 1.5/255"], changes["L∞, 2/255"]) == (1, 2, 2)
    assert all(row["n"] == 4 for row in rows.values())
