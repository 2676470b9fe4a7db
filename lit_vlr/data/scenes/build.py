"""Puts layout, drawing, question and annotators together into samples."""

from __future__ import annotations

import numpy as np

from lit_vlr.data.scenes.draw import draw_scene
from lit_vlr.data.scenes.layout import SPLITS, Split, sample_scene
from lit_vlr.data.scenes.questions import ask
from lit_vlr.types import Sample


def make_sample(split: Split, index: int, seed: int = 0) -> Sample:
    """Draw one sample; it depends on its arguments alone.

    Args:
        split: one of `SPLITS`.
        index: which one.
        seed: another seed gives another data set.

    Raises:
        ValueError: on an unknown split or a negative index.
    """
    if split not in SPLITS:
        raise ValueError(f"Expected `split` to be one of {SPLITS} but got {split!r}")
    if index < 0:
        raise ValueError(f"Expected `index` >= 0 but got {index}")
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    scene = sample_scene(rng, split)
    picture = draw_scene(scene, rng, split)
    question = ask(scene, rng, split)
    return Sample(
        uid=f"scenes/{split}/{index}",
        image=picture,
        image_id=str(index),
        question=question.text,
        answers=question.answers,
        metadata={"relation": question.relation, "truth": question.truth, "clarity": round(question.clarity, 4)},
    )


def make_scenes(split: Split, n: int, seed: int = 0) -> list[Sample]:
    """Draw the first ``n`` samples of a split.

    >>> samples = make_scenes("test", 2)
    >>> [sample.question for sample in make_scenes("test", 2)]
    [...]
    """
    return [make_sample(split, index, seed) for index in range(n)]
