"""What the threshold slider's positions mean."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from lit_vlr.confidence import NegativeEntropy, SequenceProbability
from lit_vlr.page.scale import Scale


@pytest.mark.parametrize("frozen", [0.43219, 0.002, 0.9999, 0.0, 1.0, -math.inf, math.inf, -1.0, 1.7])
def test_the_start_is_the_frozen_threshold_to_its_last_digit(frozen) -> None:
    for confidence in (SequenceProbability(), NegativeEntropy()):
        scale = Scale.of(SimpleNamespace(confidence=confidence, threshold=frozen))
        assert scale.low <= scale.start <= scale.high
        assert scale.threshold(scale.start) == frozen


def test_the_ends_answer_everything_and_nothing() -> None:
    scale = Scale.of(SimpleNamespace(confidence=NegativeEntropy(), threshold=-1.23))
    assert (scale.low, scale.high) == (-5.0, 0.0)
    assert (scale.threshold(scale.low), scale.threshold(scale.high)) == (-math.inf, math.inf)
    assert scale.threshold(-0.5) == -0.5
    assert [scale.share(value) for value in (-9.0, -2.5, 0.0)] == [0.0, 0.5, 1.0]


def test_a_step_away_from_the_start_is_another_threshold() -> None:
    scale = Scale(0.0, 1.0, 0.43219)
    assert scale.threshold(scale.start + scale.step) == pytest.approx(0.435)
    assert scale.threshold(scale.start - scale.step) == pytest.approx(0.425)
