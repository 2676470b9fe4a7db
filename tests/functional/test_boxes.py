import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.loss.loss_for_object_detection import box_iou as pairwise_iou

from lit_vlr.functional import box_iou, box_iou_accuracy
from tests.oracles import answers as oracle

SMALL = st.integers(0, 6)
THOUSANDTHS = st.integers(-(10**9), 10**9).map(lambda n: n / 1000)


@st.composite
def boxes(draw, span=SMALL):
    """Boxes with an area."""
    (x1, x2), (y1, y2) = (sorted(draw(st.lists(span, min_size=2, max_size=2, unique=True))) for _ in range(2))
    return [x1, y1, x2, y2]


@given(st.lists(st.tuples(boxes(), boxes()), min_size=1, max_size=5), st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_equals_counted_squares(pairs, threshold):
    given_boxes, targets = [p[0] for p in pairs], [p[1] for p in pairs]
    expected = [oracle.iou(*pair) for pair in pairs]
    values = box_iou(given_boxes, targets)
    assert values.tolist() == pytest.approx(expected, abs=1e-12)
    assert torch.equal(values, box_iou(targets, given_boxes))  # symmetric
    hits = [value >= threshold for value in expected]
    assert box_iou_accuracy(given_boxes, targets, threshold).item() == pytest.approx(sum(hits) / len(hits))


@given(boxes(THOUSANDTHS))
def test_a_box_is_itself(box):
    assert box_iou([box], [box]).item() == 1.0


def test_equals_transformers():
    generator = torch.Generator().manual_seed(0)
    corner, side = torch.rand(2, 50, 2, generator=generator), torch.rand(2, 50, 2, generator=generator) + 0.01
    one, other = torch.cat([corner, corner + side], dim=2).double()
    torch.testing.assert_close(box_iou(one, other), pairwise_iou(one, other)[0].diagonal())


@pytest.mark.parametrize(
    ("box", "target", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 4], 0.5),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ([0, 0, 1, 1], [1, 0, 2, 1], 0.0),  # touching
        ([0, 0, 1, 1], [5, 5, 6, 6], 0.0),
        ([0, 0, 0, 0], [0, 0, 2, 2], 0.0),  # no box
        ([1, 1, 1, 2], [0, 0, 2, 2], 0.0),  # a line
        ([2, 2, 0, 0], [0, 0, 2, 2], 0.0),  # corners swapped: the product of its sides is positive
        ([2, 0, 0, 2], [0, 0, 2, 2], 0.0),
        ([5, 5, 3, 3], [0, 0, 8, 8], 0.0),
        ([-2, -2, 0, 0], [-2, -2, 0, 0], 1.0),
    ],
)
def test_by_hand(box, target, expected):
    assert box_iou([box], [target]).item() == pytest.approx(expected, abs=1e-12)


def test_exactly_the_threshold_counts():
    """1/2 is representable; 1/3 and 2/3 have to be rounded alike on both sides."""
    assert box_iou_accuracy([[0, 0, 2, 2]], [[0, 0, 2, 4]]).item() == 1.0
    assert box_iou_accuracy([[0, 0, 1, 1]], [[0, 0, 1, 3]], 1 / 3).item() == 1.0
    assert box_iou_accuracy([[0, 0, 2, 1]], [[0, 0, 3, 1]], 2 / 3).item() == 1.0


@pytest.mark.parametrize("container", [list, np.array, torch.tensor, lambda rows: torch.tensor(rows).half()])
def test_containers(container):
    assert box_iou(container([[0, 0, 2, 2]]), container([[0, 0, 2, 4]])).tolist() == [0.5]


GOOD = [[0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("given_boxes", "targets", "error", "message"),
    [
        ([], [], ValueError, "`boxes` with at least one box but got none; was the split empty"),
        (GOOD, [], ValueError, "`targets` with at least one box"),
        (GOOD[0], GOOD, ValueError, r"`boxes` of shape \(N, 4\) but got \(4,\); .*\(x1, y1, x2, y2\)"),
        ([[0.0, 0.0, 1.0]], GOOD, ValueError, r"`boxes` of shape \(N, 4\) but got \(1, 3\)"),
        (GOOD * 2, GOOD, ValueError, "`boxes` and `targets` of one length but got 2 and 1"),
        ([[0, 0, 1, math.nan]], GOOD, ValueError, r"`boxes` to be finite but got .* at index 0; give \[0, 0, 0, 0\]"),
        (GOOD, [[0, 0, 1, math.inf]], ValueError, "`targets` to be finite"),
        (GOOD * 2, [*GOOD, [5, 5, 2, 2]], ValueError, "`targets` with x1 < x2 .* at index 1; convert"),
        (GOOD, [[5, 5, 5, 6]], ValueError, "`targets` with x1 < x2 and y1 < y2"),
        ([["a", "b", "c", "d"]], GOOD, TypeError, "`boxes` to hold real numbers but got list"),
        (
            torch.zeros(1, 4, dtype=torch.complex64),
            GOOD,
            TypeError,
            "`boxes` to hold real numbers but got torch.complex64",
        ),
        ([[0, 0, 1, 1], [0, 0, 1]], GOOD, TypeError, "`boxes` to hold real numbers but got list"),
    ],
)
def test_wrong_boxes_are_refused(given_boxes, targets, error, message):
    with pytest.raises(error, match=message):
        box_iou_accuracy(given_boxes, targets)


@pytest.mark.parametrize("threshold", [0, -1, 50, math.nan])
def test_wrong_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match=r"`iou_threshold` in \(0, 1\] but got"):
        box_iou_accuracy(GOOD, GOOD, threshold)
