"""Every shipped score, built from its YAML, and rows to try it on."""

from __future__ import annotations

import yaml
from jsonargparse import ArgumentParser

from lit_vlr.confidence import Confidence
from lit_vlr.data.scenes import make_scenes
from lit_vlr.models import Llava
from lit_vlr.types import Batch, Sample
from tests._tiny import CONFIGS

NAMES = sorted(path.stem for path in (CONFIGS / "confidence").glob("*.yaml"))
TOKENS = 6


def from_yaml(name: str) -> Confidence:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--confidence", type=Confidence)
    document = yaml.safe_load((CONFIGS / "confidence" / f"{name}.yaml").read_text())
    made: Confidence = parser.instantiate(parser.parse_object(document["model"])).confidence
    return made


def lay_out(made: Llava, samples: list[Sample]) -> Batch:
    return made.collate(samples, [""] * len(samples))


def scores(made: Llava, confidence: Confidence, batch: Batch) -> list[float]:
    confidence.prepare(made)
    found = confidence.eval()(made.generate(batch, TOKENS), made, batch, TOKENS)
    assert found.shape == (len(batch),)
    return [float(x) for x in found]


def scenes(n: int) -> list[Sample]:
    return make_scenes("test", n)
