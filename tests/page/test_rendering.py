"""The fragment that the page shows."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lit_vlr.page.attacking import Exchange, Said
from lit_vlr.page.rendering import render
from lit_vlr.page.scale import Scale

CLEAN = np.full((4, 4, 3), 100 / 255, np.float32)
ATTACKED = CLEAN + np.float32(4 / 255)
FOUND = Exchange(
    "What?",
    4 / 255,
    "abstain",
    0.5,
    0.5,
    "<b>wood</b>",
    Said(CLEAN, "<b>wood</b>", 0.625, 1.0),
    Said(ATTACKED, "stone", 0.25, 0.0),
)
SCALE = Scale(0.0, 1.0, 0.5)


def words(found: Exchange) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", render(found, SCALE)).split())


def pictures(found: Exchange) -> list[np.ndarray]:
    uris = re.findall(r'src="data:image/png;base64,([^"]*)"', render(found, SCALE))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri)))) for uri in uris]


def test_it_says_what_is_given_and_what_is_withheld() -> None:
    said = words(FOUND)
    assert "clean &lt;b&gt;wood&lt;/b&gt; right confidence 0.625 , threshold 0.500" in said
    assert "attacked, ε = 4/255 abstains would have said “stone”, wrong confidence 0.250" in said
    assert "The threshold has moved" not in said


def test_the_bars_follow_the_slider() -> None:
    page = render(FOUND, SCALE)
    assert re.findall(r"(?:width|left): ([0-9.]+)%", page) == ["62.5", "50.0", "25.0", "50.0"]


@pytest.mark.parametrize(("threshold", "withheld"), [(-math.inf, 0), (0.25, 0), (0.5, 1), (0.7, 2), (math.inf, 2)])
def test_another_threshold_gives_and_withholds_others(threshold, withheld) -> None:
    said = words(FOUND.at(threshold))
    assert said.count("would have said") == withheld
    assert ("The threshold has moved since" in said) == (threshold != 0.5)


def test_an_attack_that_knows_no_threshold_is_never_stale() -> None:
    assert "has moved" not in words(replace(FOUND, aim="answer").at(0.9))


def test_the_difference_is_amplified_around_grey() -> None:
    clean, attacked, difference = pictures(FOUND)
    assert (clean == 100).all()
    assert (attacked == 104).all()
    assert abs(difference.astype(int) - 255).max() <= 1  # 0.5 + 32 * 4 / 255, which is 1.002
    assert "difference × 32" in words(FOUND)


def test_without_an_attack_there_is_one_picture() -> None:
    assert len(pictures(replace(FOUND, eps=0.0, attacked=FOUND.clean))) == 1


def test_a_picture_that_was_left_as_it_was_is_said_to_be() -> None:
    assert "nothing to make worse" in words(replace(FOUND, attacked=FOUND.clean))


def test_it_fetches_and_runs_nothing() -> None:
    page = render(FOUND, SCALE)
    assert not re.search(r"<script|https?:|<link|url\(", page)
