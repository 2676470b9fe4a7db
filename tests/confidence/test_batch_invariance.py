"""Batch size, padding, row order and the other rows do not change a score; the picture in the batch does.

Nor does autocast round it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lit_vlr.models import Llava
from tests._tiny import family
from tests.confidence._scores import NAMES, TOKENS, from_yaml, lay_out, scenes, scores

TOLERANCE = {"abs": 1e-5, "rel": 0}
N = 8


@pytest.fixture(scope="module", params=[16, 4], ids=["float32", "nf4"])
def made(request: pytest.FixtureRequest) -> Llava:
    return family(bits=request.param).eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_has_the_same_score_in_every_batch(made: Llava, name: str) -> None:
    confidence, samples = from_yaml(name), scenes(N)
    together = scores(made, confidence, lay_out(made, samples))
    assert len({round(x, 4) for x in together}) > 1  # a constant would pass everything below

    alone = [scores(made, confidence, lay_out(made, [sample]))[0] for sample in samples]
    assert alone == pytest.approx(together, **TOLERANCE)

    reversed_rows = scores(made, confidence, lay_out(made, samples[::-1]))
    assert reversed_rows[::-1] == pytest.approx(together, **TOLERANCE)

    # A row of a hundred words more pads all others.
    long = replace(samples[0], uid="long", question="Which fruit has the colour of this? " * 14)
    padded = lay_out(made, [long, *samples])
    assert padded.prompt_mask[1:].sum(1).max() + 80 < padded.prompt_ids.shape[1]
    assert scores(made, confidence, padded)[1:] == pytest.approx(together, **TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_further_passes_see_the_pictures_of_the_batch_and_not_the_files(made: Llava, name: str) -> None:
    # As the adversarial callback does: other pictures in `batch.images`, the samples unchanged.
    confidence, samples = from_yaml(name), scenes(4)
    rows = lay_out(made, samples)
    swapped = rows.with_images(rows.images.roll(1, 0))
    expected = lay_out(made, [replace(s, image=samples[i - 1].image) for i, s in enumerate(samples)])
    assert scores(made, confidence, swapped) == pytest.approx(scores(made, confidence, expected), **TOLERANCE)
    assert scores(made, confidence, swapped) != pytest.approx(scores(made, confidence, rows), **TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_in_float32_under_autocast(made: Llava, name: str) -> None:
    confidence, rows = from_yaml(name), lay_out(made, scenes(2))
    confidence.prepare(made)
    with torch.autocast("cpu", torch.bfloat16):
        assert confidence.eval()(made.generate(rows, TOKENS), made, rows, TOKENS).dtype == torch.float32
