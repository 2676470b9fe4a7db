"""Which set is the one in domain, by which everything else of a report is ordered and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lit_vlr.benchmark_table import Row, write_table
from lit_vlr.report.pooling import read_arms
from lit_vlr.report.runs import home, read_runs, set_names
from lit_vlr.report.summary import summarize
from lit_vlr.report.words import GLOSSARY, LEAD, sentences

Factory = dict[str, Callable[..., Any]]
OOD = ("abstention_pope", "far_gqa", "okvqa", "okvqa+linf_pgd", "okvqa_fog_1")


@pytest.fixture
def tested(tmp_path: Path, factory: Factory) -> Callable[..., Path]:
    """Makes a run with the given sets, and the table of those that were tested, if any."""

    def make(*names: str, table: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / "run"
        for name in names:
            factory["write_set"](folder, name, factory["make_predictions"]("standard", "test", 20))
        if table:
            write_table([Row(name, 20, {}, 0.5, 0.5, 0.5) for name in table], folder / "benchmarks.json", "no_skip")
        return folder

    return make


@pytest.mark.parametrize(
    ("names", "table", "expected"),
    [
        (("ood_rephrased", "test", "test+linf_pgd", "test_shuffled"), (), "test"),
        (OOD, ("okvqa", "far_gqa", "abstention_pope", "okvqa_fog_1"), "okvqa"),
        ((*OOD, "okvqa_shuffled"), (), "okvqa"),
        (OOD, (), None),
        (OOD, ("of_an_earlier_test", "okvqa"), None),
        (("okvqa", "okvqa+linf_pgd"), (), "okvqa"),
    ],
)
def test_home_is_the_first_test_set(
    tested: Callable[..., Path], names: tuple[str, ...], table: tuple[str, ...], expected: str | None
) -> None:
    folder = tested(*names, table=table)
    for runs in (read_runs([folder]), read_arms({"arm": [folder]})):
        assert home(runs) == expected
        ordered = set_names(runs)
        assert sorted(ordered) == sorted(names)
        if expected is not None:
            of_home = [name.partition("+")[0] == expected for name in ordered]
            assert of_home == sorted(of_home, reverse=True)
            assert ordered[0] == expected


def _last(folder: Path) -> str:
    return sentences(summarize(read_runs([folder]), n_resamples=20, n_resamples_rows=5))[-1]


def test_sets_of_any_name_are_seen_against_the_first(tested: Callable[..., Path]) -> None:
    said = _last(tested(*OOD, "okvqa_shuffled", table=("okvqa", "far_gqa", "abstention_pope", "okvqa_fog_1")))
    assert said.startswith("On sets other than okvqa that were not attacked, “run” had accuracy from ")
    assert "; on okvqa it had " in said
    assert "shuffled" not in said  # a blind control is no domain


def test_no_set_is_called_home_by_guess(tested: Callable[..., Path]) -> None:
    said = _last(tested(*OOD))
    assert said.startswith("On sets that were not attacked, “run” had accuracy from ")
    assert "it had" not in said


def test_what_is_said_of_every_report_is_true_of_every_metric_and_set() -> None:
    """Sets may be scored by exact match or yes/no, and need not be attacked or out of domain."""
    accuracy = dict(GLOSSARY)["Accuracy"]
    assert "The score is the set's own" in accuracy
    assert "exact match" in accuracy
    assert "domain" not in LEAD
