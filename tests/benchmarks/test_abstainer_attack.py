"""The benchmark's shares, by hand and on the embedded model."""

from __future__ import annotations

import pytest

from benchmarks import abstainer_attack
from benchmarks.abstainer_attack import Attacked, judge, measure, table
from lit_vlr.data.scenes import make_scenes
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.types import Prediction
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import family


def said(confidence: float, accuracy: float) -> Prediction:
    return Prediction("u", "i", "q", "a", confidence, False, accuracy)


def test_shares_by_hand() -> None:
    clean = [said(0.9, 1.0), said(0.8, 0.6), said(0.7, 0.0), said(0.2, 1.0)]
    after = [said(0.4, 1.0), said(0.8, 0.0), said(0.6, 0.0), said(0.9, 0.3)]
    found = judge(clean, Attacked(after, [True, True, False, True], 13, 1.0), threshold=0.5)
    assert (found["n"], found["right_and_given"]) == (4, 2)
    assert (found["withheld"], found["wrong"], found["wrong_given"]) == (0.5, 0.5, 0.5)
    assert found["abstention"] == 0.25
    assert found["accuracy"] == pytest.approx(1.3 / 4)
    assert found["reliability"] == pytest.approx((0 - 1 - 1 + 0.3) / 4)
    assert found["claimed"] == 0.75
    assert found["confirmed"] == pytest.approx(2 / 3)  # the last one is neither withheld nor wrong


def test_nothing_right_and_given_has_no_shares() -> None:
    found = judge([said(0.2, 1.0)], Attacked([said(0.1, 1.0)], None, 0, 0.0), threshold=0.5)
    assert (found["withheld"], found["wrong"], found["claimed"], found["confirmed"]) == (None,) * 4
    assert "| – | – |" in table([{"threshold": "t", "value": 0.5, "attack": "clean", **found}])


@pytest.mark.slow
def test_every_attack_is_measured_at_every_threshold() -> None:
    module = SelectiveVLM(family(bits=16, lora=None), SFT(), max_new_tokens=4).eval()
    attack = PGD(Linf("1.5/255"), steps=2)
    rows = measure(module, make_scenes("calibration", 24), make_scenes("test", 8), attack)
    attacks = ["clean", "cross-entropy", *abstainer_attack.OBJECTIVES]
    assert [row["attack"] for row in rows] == 2 * attacks
    assert {row["passes"] for row in rows} == {0, 3, 5}
    clean = rows[0]
    assert (clean["withheld"] or 0, clean["wrong"] or 0) == (0, 0)
    assert len(table(rows).splitlines()) == 2 + len(rows)
