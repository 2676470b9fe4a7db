"""Boxes written, read, scored and drawn; nonsense gives a result and no crash."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lit_vlr.errors import UserError
from lit_vlr.models.qwen_vl.drawing import draw_regions
from lit_vlr.models.qwen_vl.grounding import (
    Region,
    grounding_accuracy,
    grounding_overlaps,
    parse_grounding,
    write_region,
)

SIZES = st.integers(1, 4000)


@given(
    width=SIZES,
    height=SIZES,
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=4, max_size=4),
    kind=st.sampled_from(["box", "quad"]),
    phrase=st.one_of(st.none(), st.text(st.characters(exclude_characters="<>"))),
)
def test_what_is_written_is_read_within_half_a_step(width, height, shares, kind, phrase) -> None:
    points = [(x * width, y * height) for x, y in shares][: {"box": 2, "quad": 4}[kind]]
    found = parse_grounding(write_region(kind, points, width, height, phrase))
    assert found.problems == ()
    (region,) = found.regions
    assert (region.kind, region.phrase) == (kind, None if phrase is None else phrase.strip())
    for (x, y), (x0, y0) in zip(region.pixels(width, height), points, strict=True):
        assert abs(x - x0) <= 0.5 / 999 * width + 1e-6
        assert abs(y - y0) <= 0.5 / 999 * height + 1e-6


def test_an_answer_with_several_phrases() -> None:
    text = (
        "<ref>a dog</ref><box>(1,2),(3,4)</box><box>( 5 , 6 ), (7,8)</box>, "
        "<ref>text</ref><quad>(0,0),(9,0),(9,9),(0,999)</quad>"
    )
    assert parse_grounding(text).regions == (
        Region("box", ((1, 2), (3, 4)), "a dog"),
        Region("box", ((5, 6), (7, 8)), "a dog"),
        Region("quad", ((0, 0), (9, 0), (9, 9), (0, 999)), "text"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<box>(1,2)</box>", "expected 2 points in <box> but got '(1,2)'"),
        ("<box>(1,2),(3,4),(5,6)</box>", "expected 2 points"),
        ("<quad>(1,2),(3,4)</quad>", "expected 4 points in <quad>"),
        ("<box>(1,-2),(3,4)</box>", "expected 2 points"),
        ("<box>(1.5,2),(3,4)</box>", "expected 2 points"),
        ("<box>a cat</box>", "expected 2 points"),
        ("<box>(1,2),(3,1000)</box>", "expected coordinates below 1000"),
        (f"<box>(1,2),(3,{'9' * 5000})</box>", "expected 2 points"),
        ("<box>(1,2),(3,4)", "<box> is not closed"),
        ("<box><box>(1,2),(3,4)</box>", "<box> is not closed"),
        ("(1,2),(3,4)</box>", "</box> closes nothing"),
        ("<ref>a dog<box>(1,2),(3,4)</box>", "<ref> is not closed"),
        ("<box>(1,2),(3,4)</quad>", "</quad> closes nothing"),
    ],
)
def test_malformed_answers_say_what_is_wrong(text: str, problem: str) -> None:
    assert any(problem in said for said in parse_grounding(text).problems)


def test_an_answer_without_boxes_is_no_problem() -> None:
    found = parse_grounding("a red dog")
    assert (found.regions, found.problems) == ((), ())


TAGS = ["<box>", "</box>", "<ref>", "</ref>", "<quad>", "</quad>"]


@given(parts=st.lists(st.sampled_from([*TAGS, "(1,2)", ",", "(12345,1)", f"({'9' * 5000},1)", "dog"])))
def test_anything_can_be_read(parts: list[str]) -> None:
    found = parse_grounding("".join(parts))
    assert all(0 <= c < 1000 for region in found.regions for point in region.points for c in point)
    grounding_accuracy(["".join(parts)], [[0, 0, 1, 1]], [(10, 10)])


def test_accuracy_by_hand() -> None:
    # On 200 × 100: x 0..499 is 0..99.9 px, y 0..999 is 0..100 px. IoU with (0,0,100,100): .999; with (0,0,200,100):
    # .4995, below a half; swapped corners and no box: 0.
    answers = ["<box>(0,0),(499,999)</box>"] * 2 + ["<box>(499,999),(0,0)</box>", "nothing", "<box>(0,0</box>"]
    targets = [[0, 0, 100, 100], [0, 0, 200, 100], [0, 0, 100, 100], [0, 0, 1, 1], [0, 0, 1, 1]]
    sizes = [(200, 100)] * 5
    overlaps = grounding_overlaps(answers, targets, sizes)
    expected = torch.tensor([499 / 999 * 2, 499 / 999, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(overlaps, expected)
    assert grounding_accuracy(answers, targets, sizes).item() == pytest.approx(0.2)
    assert grounding_accuracy(answers, targets, sizes, iou_threshold=0.4).item() == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("box", [(0, 0)], 10, 10), "Expected 2 `points` for a box but got 1"),
        (("box", [(0, 0), (11, 5)], 10, 10), r"on a picture of 10 × 10 but got \(11, 5\)"),
        (("box", [(0, 0), (1, 5)], 10, 10, "a <box>"), "Expected a `phrase` without tags"),
    ],
)
def test_exception_writing(arguments, message: str) -> None:
    with pytest.raises(UserError, match=message):
        write_region(*arguments)


def test_drawing_marks_the_outline_and_leaves_the_rest() -> None:
    plain = Image.new("RGB", (300, 150), "white")
    drawn = np.asarray(draw_regions(plain, [Region("box", ((100, 200), (500, 800)))])).astype(int)
    changed = (drawn != 255).any(-1)
    # 100/999 of 299 is 29.9, 500/999 is 149.6; 200/999 of 149 is 29.8, 800/999 is 119.3.
    rows, columns = changed.any(1).nonzero()[0], changed.any(0).nonzero()[0]
    assert (rows[0], rows[-1]) == pytest.approx((29.8, 119.3), abs=2)
    assert (columns[0], columns[-1]) == pytest.approx((29.9, 149.6), abs=2)
    assert not changed[40:110, 40:140].any()
    assert changed[75, 28:33].any()
    assert np.asarray(plain).min() == 255  # a copy


def test_drawing_colours_phrases_and_takes_any_text_and_corner() -> None:
    plain = Image.new("L", (60, 40), 255)
    regions = [
        Region("box", ((999, 999), (0, 0)), "你好, a long phrase that is wider than the picture"),
        Region("quad", ((0, 0), (500, 0), (500, 500), (0, 500)), "b"),
        Region("box", ((300, 300), (300, 300)), "b"),
    ]
    drawn = np.asarray(draw_regions(plain, regions))
    colours = {tuple(c) for c in drawn.reshape(-1, 3).tolist()}
    assert {(0xD6, 0x27, 0x28), (0x1F, 0x77, 0xB4)} <= colours
    assert draw_regions(plain, []).getextrema() == ((255, 255),) * 3
