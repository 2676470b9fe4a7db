"""What is drawn: every shape has an outline, clarity follows contrast, and what is covered is covered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lit_vlr.data.scenes import Scene, Thing, draw_scene
from lit_vlr.data.scenes.knowledge import COLOURS, DIGITS, SHAPES, TEXTURES
from lit_vlr.data.scenes.parts import CELL, outlines

STAR = Thing("star", "red", "striped", "large", "bottom right", contrast=0.3, tint=0.2, occlusion=0.0)


def picture(*things: Thing, seed: int = 0) -> np.ndarray:
    drawn = draw_scene(Scene(things, clutter=0, background="grain"), np.random.default_rng(seed), "train")
    return drawn.astype(int)


def test_every_shape_has_an_outline() -> None:
    assert set(outlines()) == set(SHAPES)
    assert all(0.2 < rho.min() <= rho.max() < 1.3 for rho in outlines().values())


@pytest.mark.parametrize(
    ("name", "corners"), [("triangle", 3), ("square", 4), ("pentagon", 5), ("hexagon", 6), ("star", 5)]
)
def test_an_outline_repeats_once_a_corner(name: str, corners: int) -> None:
    rho = outlines()[name]
    assert np.allclose(rho, np.roll(rho, len(rho) // corners), atol=1e-9)


@pytest.mark.parametrize("name", SHAPES + DIGITS)
@pytest.mark.parametrize("texture", TEXTURES)
def test_a_thing_is_drawn_in_its_own_quarter_and_nowhere_else(name: str, texture: str) -> None:
    difference = np.abs(picture(replace(STAR, name=name, texture=texture)) - picture()).sum(2) > 0
    assert difference[CELL:, CELL:].sum() > 40
    difference[CELL:, CELL:] = False
    assert not difference.any()


def test_colours_differ_by_their_tint() -> None:
    means = {c: picture(replace(STAR, colour=c))[CELL:, CELL:].mean((0, 1)) for c in COLOURS}
    for one in COLOURS:
        assert all(np.abs(means[one] - means[other]).max() > 3 for other in COLOURS if other != one)


def test_occlusion_shows_the_background_again() -> None:
    plain, covered = (np.abs(picture(replace(STAR, occlusion=o)) - picture()).sum() for o in (0.0, 0.5))
    assert covered < plain


def test_clarity_rises_with_contrast_and_falls_with_occlusion() -> None:
    rising = [replace(STAR, contrast=c).clarity("shape") for c in (0.05, 0.1, 0.14, 0.34)]
    assert rising == sorted(rising)
    assert rising[1] == pytest.approx(0.5)  # logistic around 0.10
    # 1 - (0.5 - 0.2) * 1.8 of what is visible
    assert replace(STAR, occlusion=0.5).clarity("shape") == pytest.approx(0.46 * STAR.clarity("shape"))
    assert STAR.clarity("colour") == pytest.approx(1 / (1 + np.exp(-(0.2 - 0.1) / 0.02)))


def test_attributes_of_shapes_and_digits() -> None:
    four = replace(STAR, name="4")
    assert [STAR.attribute(a) for a in ("shape", "digit", "texture", "colour")] == ["star", None, "striped", "red"]
    assert [four.attribute(a) for a in ("shape", "digit")] == [None, "4"]
    assert Scene((STAR,), 0, "grain").at("top left") is None
