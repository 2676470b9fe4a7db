"""Puts layout, drawing, question and annotators together into samples."""

from __future__ import annotations

import numpy as np

from lit_vlr.data.scenes.draw import draw_scene
from lit_vlr.data.scenes.layout import SPLITS, Split, sample_scene
from lit_vlr.data.scenes.questions import ask
from lit_vlr.errors import UserError
from lit_vlr.types import Sample


def make_sample(split: Split, index: int, seed: int = 0) -> Sample:
    """Draw one sample; it depends on its arguments alone.

    Args:
        split: one of `SPLITS`.
        index: which one.
        seed: another seed gives another data set; 0 or more.

    Raises:
        UserError: on an unknown split, a negative index or a negative seed.

    >>> sample = make_sample("test", 3)
    >>> sample.uid, sample.image.shape, len(sample.answers)
    ('scenes/test/3', (48, 48, 3), 10)
    """
    if split not in SPLITS:
        raise UserError(f"Expected `split` to be one of {', '.join(SPLITS)} but got {split!r}")
    for name, value in {"index": index, "seed": seed}.items():
        if value < 0:
            raise UserError(f"Expected `{name}` of at least 0 but got {value}")
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
    """Draw the first ``n`` samples of a split, as `make_sample` draws each.

    >>> [sample.uid for sample in make_scenes("test", 2)]
    ['scenes/test/0', 'scenes/test/1']
    """
    if n < 0:
        raise UserError(f"Expected `n` of at least 0 but got {n}")
    return [make_sample(split, index, seed) for index in range(n)]
