import json
import sys
from pathlib import Path

import pytest

from benchmarks import aurc_speed
from lit_vlr.functional import aurc

COMMITTED = Path(aurc_speed.__file__).parent / "results" / "aurc_speed.json"


def test_it_measures_every_case_and_says_where_the_peer_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(aurc_speed, "LIMIT", float("inf"))  # of a million rows, not of a hundred
    monkeypatch.setattr(aurc_speed, "PEER", "no-such-package")
    monkeypatch.setattr(sys, "argv", ["aurc_speed", "--rows=100", "--repeats=2", f"--out={tmp_path / 'x.json'}"])
    aurc_speed.main()
    result = json.loads((tmp_path / "x.json").read_text())
    assert [case["case"] for case in result["results"]] == list(aurc_speed.cases(10))
    assert all(case["times_the_argsort"]["lit_vlr"]["median"] > 0 for case in result["results"])
    assert all("not installed" in case["times_the_argsort"]["no-such-package"] for case in result["results"])


def test_a_missed_limit_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(aurc_speed, "LIMIT", 0.0)
    monkeypatch.setattr(sys, "argv", ["aurc_speed", "--rows=100", "--repeats=1", f"--out={tmp_path / 'x.json'}"])
    with pytest.raises(SystemExit, match="expected AURC within"):
        aurc_speed.main()


def test_the_peer_measures_the_same_area():
    """Its area is our trapezoid stretched to coverage [0, 1]; without ties, which it orders by row."""
    other, version = aurc_speed.peer()
    if other is None:
        pytest.skip(version)
    confidence, right = aurc_speed.cases(500)["distinct, 0/1 accuracy"]
    expected = aurc(confidence, right, "trapezoid") / (1 - 1 / 500)
    assert other(confidence, right).item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_committed_result_is_of_a_million_rows():
    result = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert result["rows"] == 1_000_000
    assert [case["case"] for case in result["results"]] == list(aurc_speed.cases(10))
