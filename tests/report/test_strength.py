"""Rates against ε: which sets belong together, and the figure of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lit_vlr.report import build_report
from lit_vlr.report.runs import read_runs
from lit_vlr.report.strength import strength, strengths

Factory = dict[str, Callable[..., Any]]
ATTACK = "PGD {'steps': 10, 'restarts': 1} over delta -%.4g..%.4g"


def described(eps: float, aim: str = "", attack: str = ATTACK) -> dict[str, Any]:
    return {"attack": attack % (eps, eps) + aim, "eps": eps}


@pytest.fixture
def attacked(factory: Factory, tmp_path: Path) -> list[Path]:
    """Two arms under one attack at three ε, of which one lacks one, and under others at one ε."""
    folders = [tmp_path / arm for arm in ("standard", "adversarial")]
    for folder in folders:
        factory["write_set"](folder, "test", factory["make_predictions"](folder.name, "test", 40), attack=None)
        made = factory["make_predictions"](folder.name, "test+linf_pgd", 40)
        for name, manifest in {
            "linf_pgd": described(1.5 / 255),
            "linf_pgd_4": described(4 / 255),
            "linf_pgd_2": described(2 / 255),
            "force": described(1.5 / 255, ", for ForceAbstention(threshold=None)"),
            "long": described(4 / 255, attack=ATTACK.replace("10", "50")),
            "mixed": {"attack": "PGD {} over delta -0.1..0.1, rotate -9..9"},
        }.items():
            if (folder.name, name) != ("adversarial", "linf_pgd_2"):
                factory["write_set"](folder, f"test+{name}", made, **manifest)
    return folders


def test_one_attack_at_several_eps_is_found(attacked: list[Path]) -> None:
    (found,) = strengths(read_runs(attacked))
    assert (found.data, found.names) == ("test", ["linf_pgd", "linf_pgd_2", "linf_pgd_4"])
    assert found.sets["standard"] == {
        0: "test",
        1.5 / 255: "test+linf_pgd",
        2 / 255: "test+linf_pgd_2",
        4 / 255: "test+linf_pgd_4",
    }
    assert list(found.sets["adversarial"]) == [0, 1.5 / 255, 4 / 255]


def test_eps_of_older_manifests_is_read_from_their_words() -> None:
    manifest = described(1.5 / 255, ", for WrongAndConfident(threshold=None)")
    words, eps = strength(manifest)
    del manifest["eps"]
    assert strength(manifest) == (words, pytest.approx(eps, rel=1e-12))
    assert words.endswith("over delta, for WrongAndConfident(threshold=None)")


@pytest.mark.parametrize("attack", [None, "RandomSearch {} over rotate -9..9", {"name": "x", "eps": 0.1}])
def test_other_attacks_have_no_eps(attack: object) -> None:
    assert strength({"attack": attack}) is None


def test_the_figures_of_rates_against_eps(attacked: list[Path], tmp_path: Path) -> None:
    page = build_report(attacked, tmp_path / "out", n_resamples=20)
    text = page.read_text()
    assert "Against ε: linf_pgd, linf_pgd_2, linf_pgd_4 on test" in text
    names = {path.name for path in (tmp_path / "out" / "figures").glob("*eps*.png")}
    assert names == {f"report-eps-{kind}-test-linf_pgd.png" for kind in ("abstention", "risk", "accuracy")}
    row = next(
        line
        for line in page.with_suffix(".md").read_text().splitlines()
        if line.startswith("| test+linf_pgd_4 | standard")
    )
    abstention, selective = (float(row.split("|")[i].split("%")[0]) for i in (6, 7))
    spoken = re.findall(r'aria-label="(Abstention rate. standard: clean[^"]*|Risk among[^"]*)"', text)
    assert f"ε 4/255 {abstention:.1f}%" in spoken[0]
    assert f"ε 4/255 {100 - selective:.1f}%" in spoken[1]
    assert "adversarial: clean" in spoken[0]
    assert "1.5/255" in spoken[0]


def test_one_eps_makes_no_figure(runs: list[Path]) -> None:
    assert strengths(read_runs(runs)) == []
