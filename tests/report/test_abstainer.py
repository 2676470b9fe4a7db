"""The table of what attacks did to right answers, against plain loops and by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lit_vlr.predictions import read_predictions
from lit_vlr.report import build_report
from lit_vlr.report.abstainer import Harm, harms
from lit_vlr.report.runs import read_runs

Factory = dict[str, Callable[..., Any]]


def reward(prediction) -> float:
    if prediction.abstained:
        return 0.0
    return -1.0 if prediction.accuracy == 0 else prediction.accuracy


def test_equals_plain_loops(runs: list[Path]) -> None:
    found = harms(read_runs(runs), n_resamples=50)
    sets = ["test+linf_pgd", "test+rotation"]
    assert [(h.set, h.arm) for h in found] == [(s, arm) for s in sets for arm in ("standard", "adversarial")]
    for harm in found:
        folder = next(run for run in runs if run.name == harm.arm) / "predictions"
        clean, attacked = (read_predictions(folder / f"{name}.jsonl") for name in ("test", harm.set))
        right = withheld = wrong = 0
        for p, q in zip(clean, attacked, strict=True):
            if not p.abstained and p.accuracy > 0:
                right += 1
                withheld += q.abstained
                wrong += not q.abstained and q.accuracy == 0
        assert (harm.n, harm.right) == (len(clean), right)
        assert right > 20
        assert harm.withheld.value == pytest.approx(withheld / right)
        assert harm.wrong.value == pytest.approx(wrong / right)
        before, after = (sum(map(reward, rows)) / len(rows) for rows in (clean, attacked))
        assert (harm.clean.value, harm.attacked.value) == pytest.approx((before, after))
        assert harm.loss.value == pytest.approx(before - after)
        assert harm.loss.low <= harm.loss.value <= harm.loss.high


def by_hand(factory: Factory, folder: Path) -> Harm:
    """Four questions: one withheld, one wrong and given, one that stays right; one was wrong all along."""
    p = factory["make_predictions"]("standard", "test", 5)
    p = [replace(q, uid=f"u{i}", image_id=f"i{i}") for i, q in enumerate(p)]
    clean = [replace(q, abstained=False, accuracy=a) for q, a in zip(p, (1.0, 0.6, 0.3, 0.0, 1.0), strict=True)]
    after = [
        replace(clean[2]),  # in another order
        replace(clean[3], abstained=True),
        replace(clean[1], accuracy=0.0),
        replace(clean[0], abstained=True),
    ]
    factory["write_set"](folder / "arm", "test", clean)
    factory["write_set"](folder / "arm", "test+some", after)
    (found,) = harms(read_runs([folder / "arm"]), n_resamples=20)
    return found


def test_by_hand(factory: Factory, tmp_path: Path) -> None:
    found = by_hand(factory, tmp_path)
    assert (found.n, found.right) == (4, 3)  # the fifth question was not attacked
    assert found.withheld.value == pytest.approx(1 / 3)
    assert found.wrong.value == pytest.approx(1 / 3)
    assert found.clean.value == pytest.approx((1 + 0.6 + 0.3 - 1) / 4)
    assert found.attacked.value == pytest.approx((0 - 1 + 0.3 + 0) / 4)
    assert found.loss.value == pytest.approx(0.225 + 0.175)


def test_the_page_and_the_markdown_have_the_table(factory: Factory, tmp_path: Path) -> None:
    by_hand(factory, tmp_path)
    page = build_report([tmp_path / "arm"], tmp_path / "out", n_resamples=20)
    lines = page.with_suffix(".md").read_text().partition("## What attacks made of right answers")[2].splitlines()
    cells = [cell.strip() for cell in next(x for x in lines if x.startswith("| test+some")).strip("|").split("|")]
    assert cells[:3] == ["test+some", "arm", "3 of 4"]
    assert [cell.split(" ")[0] for cell in cells[3:]] == ["33.3%", "33.3%", "0.225", "−0.175", "0.400"]
    assert "33.3%" in page.read_text()
    assert "−0.175" in page.read_text()


def test_where_nothing_right_is_given_no_share_is_claimed(factory: Factory, tmp_path: Path) -> None:
    shy = [replace(p, abstained=True) for p in factory["make_predictions"]("standard", "test", 6)]
    for name in ("test", "test+some"):
        factory["write_set"](tmp_path / "shy", name, shy)
    (found,) = harms(read_runs([tmp_path / "shy"]), n_resamples=20)
    assert (found.right, found.withheld, found.wrong) == (0, None, None)
    assert (found.clean.value, found.loss.value) == (0, 0)
    text = build_report([tmp_path / "shy"], tmp_path / "out", n_resamples=20).with_suffix(".md").read_text()
    assert "| test+some | shy | 0 of 6 | – | – | 0.000" in text


@pytest.mark.parametrize("names", [("test",), ("test+some",), ("test", "ood_rephrased+some")])
def test_no_table_without_a_set_and_its_clean_twin(factory: Factory, tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        factory["write_set"](tmp_path / "arm", name, factory["make_predictions"]("standard", "test", 6))
    page = build_report([tmp_path / "arm"], tmp_path / "out", n_resamples=20)
    assert "What attacks made" not in page.read_text() + page.with_suffix(".md").read_text()


def test_no_table_without_labels(factory: Factory, tmp_path: Path) -> None:
    for name in ("test", "test+some"):
        rows = factory["make_predictions"]("standard", "test", 6, has_labels=False)
        factory["write_set"](tmp_path / "arm", name, rows)
    assert harms(read_runs([tmp_path / "arm"]), n_resamples=20) == []
