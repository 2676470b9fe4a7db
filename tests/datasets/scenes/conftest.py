"""Samples of every split with the plans that they were drawn from; drawn once, some three seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lit_vlr.data.scenes import SPLITS, Scene, make_sample, sample_scene
from lit_vlr.types import Sample

N = 300


@dataclass(frozen=True)
class Drawn:
    sample: Sample
    scene: Scene

    @property
    def truth(self) -> str:
        return self.sample.metadata["truth"]


@pytest.fixture(scope="package")
def drawn() -> dict[str, list[Drawn]]:
    """By split. The plan is what the sample's own generator gives first."""
    return {
        split: [
            Drawn(make_sample(split, i), sample_scene(np.random.default_rng([0, number, i]), split)) for i in range(N)
        ]
        for number, split in enumerate(SPLITS)
    }


@pytest.fixture(scope="package")
def everything(drawn: dict[str, list[Drawn]]) -> list[Drawn]:
    return [one for split in drawn.values() for one in split]
