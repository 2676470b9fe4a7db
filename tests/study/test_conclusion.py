"""What a finished study leaves: the answer on top of its page, arms pooled over seeds, figures, and links to them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from lit_vlr.cli import main
from lit_vlr.study.identity import save_identity
from lit_vlr.study.reading import read_plan
from tests.study._studies import rows, write_cell, write_plan

EPS = {"test+linf_pgd": 1.5 / 255, "test+linf_pgd_4": 4 / 255}


@pytest.fixture(scope="module")
def concluded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms under two seeds, through already; the verb has only to conclude."""
    folder = tmp_path_factory.mktemp("study")
    command = write_plan(folder / "s.yaml", folder / "out", arms={"sft": {}, "tempered": {}}, seeds=[0, 1])
    plan, _ = read_plan(command[1:])
    for cell in plan.cells:
        save_identity(cell)
        draw = np.random.default_rng([cell.seed, len(cell.arm)])
        sets = {
            name: rows(draw.uniform(size=40).round(3).tolist(), draw.choice([0.0, 0.6, 1.0], 40).tolist(), 0.5)
            for name in ("test", *EPS)
        }
        write_cell(cell, sets, eps=EPS)
        (cell.folder / "calibration.jsonl").write_text("")
    assert main(command) == 0
    return folder / "out"


def test_the_page_begins_with_the_studys_answer(concluded: Path) -> None:
    said = json.loads((concluded / "study.json").read_text())["answer"]
    assert said[0].startswith("Under linf_pgd")
    text = (concluded / "report.html").read_text()
    shown = re.findall(r"<p>(.*?)</p>", text.partition('<div class="answer">')[2].partition("</div>")[0])
    assert [one.replace("&#39;", "'") for one in shown] == said
    assert text.index("The answer in words") < text.index("The numbers")


def test_its_arms_are_pooled_over_seeds_under_the_slider_too(concluded: Path) -> None:
    text = (concluded / "report.html").read_text()
    found = json.loads(re.search(r'id="threshold-data">(.*?)</script>', text)[1])
    assert len(found["arms"]) == 2
    answered = 0
    for seed in (0, 1):
        lines = (concluded / f"sft-{seed}" / "predictions" / "test.jsonl").read_text().splitlines()
        answered += sum(not json.loads(line)["abstained"] for line in lines)
    assert found["arms"][0]["sets"]["test"]["coverage"][100] == pytest.approx(answered / 80, abs=5.1e-5)
    assert "of the first one" in text


def test_markdown_links_every_figure_that_is_there(concluded: Path) -> None:
    text = (concluded / "study.md").read_text()
    links = re.findall(r"!\[[^\]]*\]\((figures/[^)]*\.png)\)", text)
    files = {path.relative_to(concluded).as_posix() for path in (concluded / "figures").iterdir()}
    assert set(links) == {name for name in files if name.endswith(".png")}
    assert {name.replace(".png", ".svg") for name in links} | set(links) == files
    assert {"figures/report-eps-abstention-test-linf_pgd.png", "figures/report-sets-accuracy.png"} <= files
    assert "Against ε: linf_pgd, linf_pgd_4 on test: Abstention rate" in text


def test_the_page_names_seeds_and_hashes(concluded: Path) -> None:
    text = (concluded / "report.html").read_text()
    assert "0, 1" in text.partition('id="made"')[2]
    for name in ("tempered-1/predictions/test+linf_pgd.jsonl", "sft-0/cell.json"):
        row = re.search(
            rf"<code>{re.escape(name)}</code></td><td><code>([0-9a-f]{{64}})</code>", text.replace("&#43;", "+")
        )
        assert row is not None
        assert row[1] == hashlib.sha256((concluded / name).read_bytes()).hexdigest()
