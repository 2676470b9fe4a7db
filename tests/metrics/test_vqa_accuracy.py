import json
import pickle
from pathlib import Path

import pytest

from lit_vlr.metrics import VQAAccuracy

DATA = Path(__file__).parents[1] / "data" / "vqa_accuracy_official.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
PREDICTIONS = [case["prediction"] for case in CASES]
ANSWERS = [case["answers"] for case in CASES]


@pytest.mark.parametrize("batch_size", [1, 5, 16])
def test_batches_equal_the_mean_of_the_golden_values(batch_size):
    metric = VQAAccuracy(dialect="official")
    for start in range(0, len(CASES), batch_size):
        metric.update(PREDICTIONS[start : start + batch_size], ANSWERS[start : start + batch_size])
    expected = sum(case["accuracy"] for case in CASES) / len(CASES) / 100
    assert metric.compute().item() == pytest.approx(expected, abs=1e-12)


def test_forward_pickle_and_reset():
    metric = VQAAccuracy()
    assert metric(["red"], [["red"] * 10]).item() == 1.0
    assert metric(["red"], [["blue"] * 10]).item() == 0.0
    assert pickle.loads(pickle.dumps(metric)).compute().item() == 0.5
    metric.reset()
    metric.update(["red"], [["red"] * 2 + ["blue"] * 8])
    assert metric.compute().item() == pytest.approx(0.6)


def test_options_reach_the_function():
    answers = ["red"] * 4 + ["blue"] * 6
    metric = VQAAccuracy(leave_one_out="value")
    metric.update(["red"], [answers])
    assert metric.compute().item() == pytest.approx(0.6)
    metric.reset()
    metric.update(["red"], [answers], [["yes"] * 2 + ["no"] * 2 + ["yes"] * 6])
    assert metric.compute().item() == pytest.approx((4 * 2 / 3 + 6) / 10)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`dialect` to be one of"):
        VQAAccuracy(dialect="vqa")
    with pytest.raises(ValueError, match="`leave_one_out` to be one of"):
        VQAAccuracy(leave_one_out="id")
    with pytest.raises(TypeError, match="`predictions` to be a sequence of strings but got 'red'"):
        VQAAccuracy().update("red", [["red"] * 10])
    with pytest.raises(ValueError, match="`predictions` and `answers` of one length but got 1 and 0"):
        VQAAccuracy().update(["red"], [])
