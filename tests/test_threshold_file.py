"""Threshold files are written whole and read with suspicion."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path

import pytest

from lit_vlr.errors import UserError
from lit_vlr.functional import empirical_threshold, learn_then_test_threshold
from lit_vlr.threshold_file import read_threshold, write_threshold
from tests._answers import predictions, write

CHOICE = learn_then_test_threshold([0.9] * 40 + [0.1] * 5, [1.0] * 40 + [0.0] * 5, 0.1)


@pytest.fixture
def cal(tmp_path):
    return write(tmp_path / "calibration.jsonl", predictions(10))


def test_round_trip(tmp_path, cal) -> None:
    path = tmp_path / "deep" / "threshold.json"
    write_threshold(path, CHOICE, cal, n_images=5, score="SequenceProbability()")
    document = json.loads(path.read_text())
    assert document["predictions"] == {"file": str(cal), "sha256": hashlib.sha256(cal.read_bytes()).hexdigest()}
    assert document["calibration"] == {"n": 45, "images": 5, "answered": 40, "coverage": 40 / 45, "risk": 0.0}
    assert (document["method"], document["target"], document["delta"], document["bound"]) == ("ltt", 0.1, 0.05, 0.1)
    found = read_threshold(path)
    assert (found.threshold, found.method, found.score) == (0.9, "ltt", "SequenceProbability()")
    assert found.guarantee == CHOICE.guarantee
    assert found.describe()["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(path.parent.iterdir()) == [path]


def test_abstaining_on_everything_survives_json(tmp_path, cal) -> None:
    path = tmp_path / "threshold.json"
    write_threshold(path, learn_then_test_threshold([0.5], [1.0], 0.1), cal, n_images=1)
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["threshold"] == "inf"
    found = read_threshold(path)
    assert (found.threshold, found.score) == (math.inf, None)
    assert found.say() == (
        f"{path} abstains on everything: needs at least 29 answered calibration questions without error for r=0.1, "
        "delta=0.05; has 1"
    )


def test_what_cannot_be_written_leaves_nothing(tmp_path, cal, monkeypatch) -> None:
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    for target in (tmp_path / "folder", cal / "threshold.json", Path(), Path("..")):
        with pytest.raises(UserError, match=f"Expected to write {re.escape(str(target))} but it cannot be written"):
            write_threshold(target, CHOICE, cal, n_images=5)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "lit_vlr threshold 9"}, "its `format` is not"),
        ({"threshold": "0.5"}, "got '0.5'"),
        ({"threshold": None}, "got None"),
        ({"threshold": True}, "got True"),
        ({"threshold": math.nan}, "got nan"),
        ({"method": 3}, "`method` is 3 and no text"),
        ({"reason": None}, "`reason` is None"),
        ({"score": 3}, "`score` is 3"),
    ],
)
def test_wrong_files_are_named(tmp_path, cal, change, message) -> None:
    path = tmp_path / "threshold.json"
    write_threshold(path, empirical_threshold([0.5], [1.0], 0.1), cal, n_images=1)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=f"{path} is none: .*{message}"):
        read_threshold(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_threshold_file_is_named(tmp_path, content) -> None:
    path = tmp_path / "threshold.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is none"):
        read_threshold(path)
    with pytest.raises(UserError, match="there is none; `lit-vlr calibrate` writes one"):
        read_threshold(tmp_path / "other.json")
