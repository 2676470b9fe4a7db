"""`lit-vlr report` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_vlr.cli import main
from tests._answers import predictions, write

QUICK = ("--n-resamples", "20")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs x/a, y/a of the same name and x/b; y/empty has a file without predictions."""
    monkeypatch.chdir(tmp_path)
    for name in ("x/a", "y/a", "x/b"):
        write(tmp_path / name / "predictions" / "test.jsonl", predictions(40), set="test", seed=0, threshold=0.3)
    write(tmp_path / "y" / "empty" / "predictions" / "test.jsonl", [], set="test")
    return tmp_path


def bad(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["report", *args]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    return said.err


@pytest.mark.parametrize("args", [("x/a", "x/b", "--out", "z.html"), ("--out", "z.html", "x/a", "x/b")])
def test_options_come_before_or_after_the_runs(
    args: tuple[str, ...], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *args, *QUICK, "--title", "Two arms"]) == 0
    assert capsys.readouterr().out.strip() == "z.html"
    page = (runs / "z.html").read_text()
    assert "<title>Two arms</title>" in page


def test_mistakes_are_said_in_a_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "are both 'a'; rename one" in bad(capsys, "x/a", "y/a")
    assert "test.jsonl' but it is empty" in bad(capsys, "y/empty")
    assert "Expected predictions/*.jsonl in the run 'nowhere'" in bad(capsys, "nowhere")
    assert "required: RUN; `lit-vlr report --help` shows every argument" in bad(capsys)
    assert "Expected --n-resamples of at least 1 but got 0" in bad(capsys, "x/a", "--n-resamples", "0")
    assert not (runs / "report.html").exists()


def test_help_says_what_the_documentation_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["report", "--help"])
    assert "RUN [RUN ...]" in capsys.readouterr().out
