"""README and docs: examples run, named paths and tests exist, figures are the committed ones."""

from __future__ import annotations

import doctest
import json
import re

import pytest

from tests._tiny import ROOT

README = (ROOT / "README.md").read_text()


def test_readme_examples_run() -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=flags).failed == 0


def test_readme_python_blocks_compile_and_import() -> None:
    for block in re.findall(r"```python\n(.*?)```", README, re.S):
        if ">>>" not in block:
            compile(block, "README.md", "exec")
            exec("\n".join(line for line in block.splitlines() if line.startswith("from lit_vlr")), {})


def test_every_config_that_the_readme_names_exists() -> None:
    named = re.findall(r"configs/[\w/]+\.yaml", README)
    assert named
    assert all((ROOT / path).is_file() for path in named)


def test_every_test_that_the_traps_name_exists() -> None:
    current = ""
    named = 0
    for path, name in re.findall(r"`(tests/[\w/.]+|…)::(\w+)`", (ROOT / "docs" / "traps.md").read_text()):
        current = current if path == "…" else path
        assert f"def {name}(" in (ROOT / current).read_text(), (current, name)
        named += 1
    assert named >= 5


def test_the_figures_are_the_committed_ones() -> None:
    results = ROOT / "benchmarks" / "results" / "main_job.md"
    if not results.exists():  # nothing measured, nothing claimed
        assert "<!-- results: none yet -->" in README
        return
    for page in (results, results.with_name("families.md")):
        table = [line for line in page.read_text().splitlines() if line.startswith("|")]
        assert all(line in README for line in table)


def test_the_comparison_of_the_readme_is_the_committed_one() -> None:
    committed = (ROOT / "benchmarks" / "results" / "robust.md").read_text().splitlines()
    compares = re.compile(r"\| \S+ \| selector_adversarial \|")
    shown = [line for line in README.splitlines() if compares.match(line)]
    assert shown == [line for line in committed if compares.match(line)] != []
    text = " ".join(README.split())
    for said in ("0.69 of that", "0.30 times as often", "2.7 points of clean", "1.32 times as large"):
        assert said in text
    document = json.loads((ROOT / "benchmarks" / "results" / "robust.json").read_text())
    found = {(row["arm"], row["set"]): row["metrics"] for row in document["rows"]}

    def percent(metric: str, name: str, digits: int) -> tuple[str, ...]:
        return tuple(
            f"{100 * found[arm, name][metric]['value']:.{digits}f}%" for arm in ("sft", "selector_adversarial")
        )

    for name in ("test+linf_pgd", "test+linf_pgd_4", "test+either_failure"):
        sft, ours = percent("risk", name, 0)
        assert f"{sft} and {ours}" in text
    sft, ours = percent("coverage", "test+either_failure", 1)
    assert f"of {ours} that are given instead of {sft}" in text
    more, wrong = percent("coverage", "ood_knowledge", 1), percent("risk", "ood_knowledge", 1)
    assert f"({more[1]} against {more[0]}), {wrong[1]} of which are wrong ({wrong[0]})" in text


def test_the_selectors_share_is_the_committed_one() -> None:
    text = " ".join(README.split())
    for file, arm in (("robust_share", "sft_adversarial"), ("robust", "selector_adversarial")):
        document = json.loads((ROOT / "benchmarks" / "results" / f"{file}.json").read_text())
        found = {row["set"]: row["metrics"]["aurc"] for row in document["rows"] if row["arm"] == arm}
        for name in ("test+linf_pgd_4", "test+either_failure"):
            one = found[name]
            assert f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" in text


def test_the_table_of_objectives_is_the_committed_one() -> None:
    committed = (ROOT / "benchmarks" / "results" / "objectives.md").read_text()
    page = (ROOT / "docs" / "objectives.md").read_text()
    for name in ("test", "test+linf_pgd_4"):
        table = committed.split(f"**{name}**\n\n")[1].split("\n\n")[0]
        assert len(table.splitlines()) == 2 + 13
        assert table in page
    # "by more than these pictures settle": no arm is below 1 under attack.
    rows = [line for line in committed.splitlines() if line.startswith("| test+linf_pgd_4 |")]
    assert len(rows) == 12
    assert all(float(re.findall(r"\[([\d.]+), ([\d.]+)\]", row)[0][1]) >= 1 for row in rows)


@pytest.mark.parametrize("target", ["demo", "test", "results", "base-model"])
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
