import importlib.util
import math
import pickle
import sys

import matplotlib as mpl
import pytest
import torch
from torchmetrics import MetricCollection

from lit_vlr import functional as F
from lit_vlr.metrics import ANLS, BoxIoUAccuracy, CIDEr, ExactMatch, POPEScores, RelaxedAccuracy, VQAAccuracy
from tests.metrics._cases import ANSWER_SHELLS, CAPTION_ROWS, OUTCOMES

shells = pytest.mark.parametrize(("shell", "function", "columns"), ANSWER_SHELLS.values(), ids=ANSWER_SHELLS)
needs_cider = pytest.mark.skipif(
    importlib.util.find_spec("pycocoevalcap") is None,
    reason="CIDEr needs the optional extra: pip install 'lit-vlr[caption]'",
)


@pytest.fixture(autouse=True)
def _no_window():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@shells
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_equal_the_whole(shell, function, columns, batch_size):
    metric = shell()
    for start in range(0, len(columns[0]), batch_size):
        metric.update(*(column[start : start + batch_size] for column in columns))
    assert metric.compute().item() == pytest.approx(function(*columns), abs=1e-12)
    assert metric.compute().dtype == torch.float64


@shells
def test_forward_pickle_clone_and_reset(shell, function, columns):
    first, rest = ([column[part] for column in columns] for part in (slice(0, 3), slice(3, None)))
    metric = shell()
    assert metric(*first).item() == pytest.approx(function(*first), abs=1e-12)
    for twin in (pickle.loads(pickle.dumps(metric)), metric.clone()):
        twin.half()  # what a Lightning module does to its children when it is cast
        twin.update(*rest)
        assert twin.compute().item() == pytest.approx(function(*columns), abs=1e-12)
    metric.reset()
    metric.update(*rest)
    assert metric.compute().item() == pytest.approx(function(*rest), abs=1e-12)
    figure, _ = metric.plot()
    assert figure is not None


@shells
def test_direction(shell, function, columns):
    assert (shell().higher_is_better, shell().is_differentiable, shell().full_state_update) == (True, False, False)


@pytest.mark.parametrize("metric", [VQAAccuracy(), ANLS(), ExactMatch(), RelaxedAccuracy()])
def test_a_refused_batch_leaves_nothing_behind(metric):
    """A row that cannot be scored used to leave the rows before it counted."""
    metric.update(["red"], [["red", "red"]])
    before = metric.compute().item()
    with pytest.raises(TypeError, match="to be a string but got int"):
        metric.update(["blue", 3], [["red"] * 2, ["red"] * 2])
    assert metric.compute().item() == before


@pytest.mark.parametrize("metric", [VQAAccuracy(), ANLS(), ExactMatch(), RelaxedAccuracy()])
def test_wrong_batches_are_refused(metric):
    with pytest.raises(TypeError, match="`predictions` to be a sequence of strings but got 'red'; wrap"):
        metric.update("red", [["red"] * 2])
    with pytest.raises(TypeError, match="`answers` to be a sequence of strings but got 'red'; wrap"):
        metric.update(["r", "e", "d"], "red")
    with pytest.raises(ValueError, match="`predictions` and `answers` of one length but got 1 and 0"):
        metric.update(["red"], [])
    with pytest.raises(ValueError, match="`predictions` with at least one sample but got none"):
        metric.update([], [])


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("metric", [ANLS(), ExactMatch(), RelaxedAccuracy(), BoxIoUAccuracy(), POPEScores()])
def test_nothing_seen_is_an_error(metric):
    with pytest.raises(ValueError, match=f"{type(metric).__name__} to be updated before `compute`"):
        metric.compute()


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: ANLS(threshold=2), ValueError, r"`threshold` in \[0, 1\] but got 2"),
        (lambda: RelaxedAccuracy(tolerance=5), ValueError, r"`tolerance` in \[0, 1\] but got 5"),
        (lambda: ExactMatch("stem"), ValueError, "`normalization` to be one of"),
        (lambda: BoxIoUAccuracy(0), ValueError, r"`iou_threshold` in \(0, 1\] but got 0"),
        (lambda: POPEScores("unanswerable"), TypeError, "`phrases` to be a sequence of strings"),
        (lambda: ANLS(abstention_phrases=["?"]), ValueError, r"`phrases` to hold words but got '\?'"),
    ],
)
def test_wrong_options_are_refused_at_construction(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_options_reach_the_functions():
    for metric, prediction, answer, value in (
        (ANLS(threshold=0.7), "abc", "abx", 0.0),
        (RelaxedAccuracy(tolerance=0.1), "90", "100", 1.0),
        (ExactMatch("vqa"), "two", "2", 1.0),
        (ExactMatch(abstention_phrases=()), "unknown", "unknown", 1.0),
        (ANLS(abstention_phrases=()), "unknown", "unknown", 1.0),
        (RelaxedAccuracy(abstention_phrases=["unsaid"]), "unsaid", "unsaid", 0.0),
    ):
        metric.update([prediction], [answer])
        assert metric.compute().item() == value
    boxes = BoxIoUAccuracy(iou_threshold=0.6)
    boxes.update([[0, 0, 2, 2]], [[0, 0, 2, 4]])
    assert boxes.compute().item() == 0.0
    pope = POPEScores(abstention_phrases=["yes"])
    pope.update(["yes"], ["yes"])
    assert pope.compute()["abstention_rate"].item() == 1.0


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_yes_no_counts_of_batches_add_up(batch_size):
    predictions, labels = OUTCOMES
    metric = POPEScores()
    for start in range(0, len(labels), batch_size):
        batch = predictions[start : start + batch_size], labels[start : start + batch_size]
        values = metric(*batch)
        expected = F.pope_scores(*batch)._asdict()
        assert {name: value.item() for name, value in values.items()} == pytest.approx(expected, nan_ok=True)
    whole = F.pope_scores(predictions, labels)._asdict()
    for twin in (metric, pickle.loads(pickle.dumps(metric)), metric.clone()):
        assert {name: value.item() for name, value in twin.compute().items()} == pytest.approx(whole)
    assert metric.higher_is_better is None
    metric.plot()


def test_yes_no_scores_are_spread_out_in_a_collection():
    collection = MetricCollection([POPEScores()], prefix="test/")
    collection.update(*OUTCOMES)
    assert "test/yes_ratio" in collection.compute()


@needs_cider
class TestCIDEr:
    @pytest.mark.parametrize("batch_size", [1, 2, 100])
    def test_batches_equal_the_whole(self, batch_size):
        metric = CIDEr()
        for start in range(0, len(CAPTION_ROWS[0]), batch_size):
            metric.update(*(column[start : start + batch_size] for column in CAPTION_ROWS))
        predictions, references, ids = CAPTION_ROWS
        expected = F.cider(dict(zip(ids, predictions, strict=True)), dict(zip(ids, references, strict=True))).mean
        for twin in (metric, pickle.loads(pickle.dumps(metric)), metric.clone()):
            assert twin.compute().item() == pytest.approx(expected, abs=1e-12)
        assert expected > 0
        metric.plot()

    @pytest.mark.filterwarnings("ignore:The ``compute`` method")
    def test_a_batch_has_no_score_but_is_kept(self):
        metric = CIDEr()
        assert math.isnan(metric(*CAPTION_ROWS).item())
        assert metric.compute().item() > 0
        metric.reset()
        with pytest.raises(ValueError, match="CIDEr to be updated before `compute`"):
            metric.compute()

    def test_padding_of_a_sampler_counts_once_and_contradictions_are_refused(self):
        metric = CIDEr()
        metric.update(*CAPTION_ROWS)
        value = metric.compute().item()
        metric.update(*(column[:1] for column in CAPTION_ROWS))
        assert metric.compute().item() == value
        metric.update(["another caption"], CAPTION_ROWS[1][:1], CAPTION_ROWS[2][:1])
        with pytest.raises(ValueError, match=r"id of `predictions` once but got 1 \('1'\) more than once"):
            metric.compute()

    @pytest.mark.parametrize(
        ("batch", "error", "message"),
        [
            ((["a"], [["a"]], ["1", "2"]), ValueError, "`predictions` and `ids` of one length but got 1 and 2"),
            ((["a"], [], ["1"]), ValueError, "`predictions` and `references` of one length"),
            ((["a", "b"], [["a"]] * 2, ["1", "1"]), ValueError, r"id of `predictions` once but got 1 \('1'\)"),
            ((["a"], [["a"]], [1]), TypeError, "ids of `predictions` to be strings but got 1"),
            (([1], [["a"]], ["1"]), TypeError, "`predictions` to be a string but got int"),
            ((["a"], [[]], ["1"]), ValueError, "`references` with at least one text"),
        ],
    )
    def test_wrong_batches_are_refused(self, batch, error, message):
        with pytest.raises(error, match=message):
            CIDEr().update(*batch)

    def test_text_of_any_script_survives(self):
        metric = CIDEr()
        metric.update(["一 只 猫\u2028", "né \ud800"], [["一 只 猫"], ["né\n"]], ["à", "b"])
        assert metric.compute().item() > 0


def test_a_missing_package_is_named_at_construction(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocoevalcap.cider.cider", None)
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
    with pytest.raises(ImportError, match=r"lit-vlr\[caption\]"):
        CIDEr()
