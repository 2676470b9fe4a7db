"""The report as a reader gets it: its numbers against plain loops, its safety, and what it refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lit_vlr.errors import UserError
from lit_vlr.predictions import PredictionsFormatError, manifest_path, read_predictions
from lit_vlr.report import GalleryFormatError, build_report
from lit_vlr.report.runs import read_runs
from lit_vlr.types import Prediction

Factory = dict[str, Callable[..., Any]]


class Page(HTMLParser):
    """Every start tag with its attributes, the text, and the cells of the results table."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[tuple[str, str], list[str]] = {}
        self.text = ""
        self._row: list[str] | None = None
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "tr":
            key = attributes.get("data-arm"), attributes.get("data-set")
            self._row = self.rows.setdefault(key, []) if all(key) else None  # type: ignore[arg-type]
        elif tag in ("td", "small") and self._row is not None:
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._row:
            self._row[-1] += data.strip()

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags for key, value in attributes.items() if key == name and value]


@pytest.fixture(scope="module")
def report(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(runs, tmp_path_factory.mktemp("out"), title="Robust & <selective>", n_resamples=400)


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page(report)


def build_quickly(runs: list[Path], out: Path, **options: Any) -> Page:
    return Page(build_report(runs, out, n_resamples=50, **options))


def plain_aurc(predictions: list[Prediction]) -> float:
    """Mean of the prefix risks; the rows of a tied block enter with the block's mean loss."""
    losses: list[float] = []
    for confidence in sorted({p.confidence for p in predictions}, reverse=True):
        block = [1 - p.accuracy for p in predictions if p.confidence == confidence and p.accuracy is not None]
        losses += [sum(block) / len(block)] * len(block)
    return sum(sum(losses[: k + 1]) / (k + 1) for k in range(len(losses))) / len(losses)


def plain_coverage_at_risk(predictions: list[Prediction], max_risk: float) -> float:
    best = 0.0
    for threshold in {p.confidence for p in predictions}:
        answered = [p.accuracy for p in predictions if p.confidence >= threshold and p.accuracy is not None]
        if 1 - sum(answered) / len(answered) <= max_risk + 1e-12:
            best = max(best, len(answered) / len(predictions))
    return best


def plain_bootstrap(predictions: list[Prediction], n_resamples: int = 2000) -> tuple[float, float]:
    """The interval of accuracy from other random numbers, so equal only up to Monte Carlo error."""
    pictures: dict[str, list[float]] = {}
    for p in predictions:
        pictures.setdefault(p.image_id, []).append(p.accuracy or 0.0)
    rng = random.Random(1)
    means = []
    for _ in range(n_resamples):
        drawn = [value for group in rng.choices(list(pictures.values()), k=len(pictures)) for value in group]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    return means[int(0.025 * n_resamples)], means[int(0.975 * n_resamples)]


def test_table_equals_plain_loops(runs: list[Path], page: Page) -> None:
    assert len(page.rows) == 10
    for (arm, name), cells in page.rows.items():
        run = next(run for run in runs if run.name == arm)
        predictions = read_predictions(run / "predictions" / f"{name}.jsonl")
        accuracies = [p.accuracy for p in predictions if p.accuracy is not None]
        answered = [p.accuracy for p in predictions if p.accuracy is not None and not p.abstained]
        expected = [
            100 * sum(accuracies) / len(accuracies),
            100 * len(answered) / len(predictions),
            100 - 100 * len(answered) / len(predictions),
            100 * sum(answered) / len(answered),
            plain_aurc(predictions),
            100 * plain_coverage_at_risk(predictions, 0.1),
        ]
        assert cells[:2] == [arm, "120"]
        for text, value in zip(cells[2::2], expected, strict=True):
            decimals = len(text.strip("%").partition(".")[2])
            assert float(text.strip("%")) == pytest.approx(value, abs=0.5 * 10**-decimals + 1e-9)
        low, high = (float(end) for end in cells[3].strip("[]").split(","))
        assert (low / 100, high / 100) == pytest.approx(plain_bootstrap(predictions), abs=0.025)
        for interval, value in zip(cells[3::2], cells[2::2], strict=True):
            low, high = (float(end) for end in interval.strip("[]").split(","))
            assert low <= float(value.strip("%")) <= high


def test_paired_loss_in_words(runs: list[Path], page: Page) -> None:
    for run in runs:
        clean, attacked = (read_predictions(run / "predictions" / f"{s}.jsonl") for s in ("test", "test+linf_pgd"))
        loss = 100 * sum((p.accuracy or 0) - (q.accuracy or 0) for p, q in zip(clean, attacked, strict=True)) / 120
        assert f"“{run.name}” lost {loss:.1f} points [" in page.text


def test_markdown_has_the_same_table(report: Path, page: Page) -> None:
    text = report.with_suffix(".md").read_text()
    first = text.partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in first.splitlines() if line[:1] == "|"]
    assert len(lines) == 12
    for name, arm, n, *cells in lines[2:]:
        flat = [part for cell in cells for part in cell.split(" ", 1)]
        assert [arm, n, *flat] == page.rows[arm, name]
    assert sorted(p.name for p in report.parent.iterdir()) == ["figures", "report.html", "report.md"]


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert "://" not in page.source
    assert "@import" not in page.source
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "iframe", "object", "embed", "base", "form"})
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "threshold-data"}, {}]
    assert all(value.startswith("data:image/png;base64,") for value in page.values("src"))
    assert all(value.startswith("#") for value in page.values("href") + page.values("xlink:href"))
    assert page.source.count("url(") == page.source.count("url(#")
    assert "default-src 'none'" in page.source


def test_accessible(page: Page) -> None:
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3 * 5  # clean once, attacked and difference for either arm
    assert all(attributes.get("alt") for attributes in images)
    plots = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(plots) == 6  # attacked and out of domain for either arm, two bar charts
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in plots)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(page.values("aria-labelledby") + page.values("aria-describedby")) <= set(ids)
    assert "prefers-color-scheme: dark" in page.source
    assert "Robust &amp; &lt;selective&gt;" in page.source
    assert "image-rendering: pixelated" in page.source
    assert "difference ×16" in page.text
    assert "8/255" in page.text


def test_equal_runs_give_equal_bytes(factory: Factory, tmp_path: Path) -> None:
    factory["write_set"](tmp_path / "a", "test", factory["make_predictions"]("standard", "test", 20))
    first, second = (
        build_report([tmp_path / "a"], out, n_resamples=50) for out in (tmp_path / "1", tmp_path / "sub" / "study.html")
    )
    assert (first.name, second.name) == ("report.html", "study.html")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(p.name for p in (tmp_path / "sub").iterdir()) == ["figures", "study.html", "study.md"]
    figures = [
        {p.name.partition("-")[2]: p.read_bytes() for p in (x / "figures").iterdir()}
        for x in (tmp_path / "1", tmp_path / "sub")
    ]
    assert figures[0] == figures[1]
    assert {name.partition(".")[2] for name in figures[0]} == {"svg", "png"}


def test_markup_in_the_data_is_text(factory: Factory, tmp_path: Path) -> None:
    evil = "<script>alert('1')</script><img src=//x onerror=alert(2)>\" onload=\"alert(3) {{ 7 * 7 }} $\\frac$ \ud800"
    run = tmp_path / "a&b<u>$x_1$|c"
    predictions = [replace(p, question=evil, answer=evil) for p in factory["make_predictions"]("standard", "test", 20)]
    changes = {"model": evil, "versions": {evil: evil}}
    factory["write_set"](run, "test", predictions, **changes)
    factory["write_set"](run, "test+<b>", predictions, **changes, attack={evil: evil})
    source = tmp_path / "standard"
    entries = factory["write_gallery"](source, "test+linf_pgd", 1)
    source.joinpath("gallery").rename(run / "gallery")
    for key in ("uid", "set", "attack", "question", "clean_answer", "attacked_answer"):
        entries[0][key] = evil
    entries[0]["answers"] = [evil] * 10
    (run / "gallery" / "index.json").write_text(json.dumps(entries))

    page = build_quickly([run], tmp_path / "out", title=evil)
    assert [tag for tag, _ in page.tags if tag in ("script", "u")] == ["script"] * 2  # our own
    assert all(value.startswith("data:") for value in page.values("src"))
    assert [key for _, attributes in page.tags for key in attributes if key.startswith("on")] == []
    assert "<script>alert('1')</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    cells = next(
        line
        for line in (tmp_path / "out" / "report.md").read_text().splitlines()
        if "1 |" not in line and line[:6] == "| test"
    )
    assert cells.count(" | ") == 8


def test_one_set_and_no_gallery(factory: Factory, tmp_path: Path) -> None:
    factory["write_set"](
        tmp_path / "only", "ood_rephrased", factory["make_predictions"]("standard", "ood_rephrased", 30)
    )
    page = build_quickly([tmp_path / "only"], tmp_path / "out")
    assert "These runs kept no pictures" in page.text
    assert "nothing can be said about robustness" in page.text
    assert len(page.rows) == 1


def test_without_labels(factory: Factory, tmp_path: Path) -> None:
    for name in ("test", "test+linf_pgd"):
        predictions = factory["make_predictions"]("standard", name, 30, has_labels=False)
        factory["write_set"](tmp_path / "standard", name, predictions)
    page = build_quickly([tmp_path / "standard"], tmp_path / "out")
    cells = page.rows["standard", "test"]
    assert [cells[i] for i in (2, -3, -2, -1)] == ["–"] * 4
    assert cells[3].endswith("%")
    assert "nothing can be said about accuracy" in page.text
    assert "abstained on" in page.text


def test_arms_with_different_sets_and_no_manifest(factory: Factory, tmp_path: Path) -> None:
    make, write = factory["make_predictions"], factory["write_set"]
    write(tmp_path / "standard", "test", make("standard", "test", 20))
    write(tmp_path / "adversarial", "test", make("adversarial", "test", 30))
    write(tmp_path / "adversarial", "test+linf_pgd", make("adversarial", "test+linf_pgd", 10))
    manifest_path(tmp_path / "standard" / "predictions" / "test.jsonl").unlink()
    page = build_quickly([tmp_path / "standard", tmp_path / "adversarial"], tmp_path / "out")
    assert len(page.rows) == 3
    assert "not recorded" in page.text
    assert "(on the 10 questions that both have)" in page.text


def test_nothing_answered_and_a_single_picture(factory: Factory, tmp_path: Path) -> None:
    one = [replace(p, abstained=True, image_id="1") for p in factory["make_predictions"]("standard", "test", 6)]
    factory["write_set"](tmp_path / "shy", "test", one, threshold=float("inf"))
    factory["write_set"](tmp_path / "shy", "test+linf_pgd", one, threshold=float("inf"))
    page = build_quickly([tmp_path / "shy"], tmp_path / "out")
    cells = page.rows["shy", "test"]
    assert "[no interval]" in cells
    assert "–" in cells
    assert "for which no interval can be given" in page.text
    assert "nan" not in page.text


def test_refusals(factory: Factory, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expected at least one run folder"):
        build_report([], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="is not a folder; run `lit-vlr test` first"):
        build_report([tmp_path / "missing"], tmp_path / "out")
    (tmp_path / "empty" / "predictions").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"predictions/\*\.jsonl .* but it holds none"):
        build_report([tmp_path / "empty"], tmp_path / "out")
    factory["write_set"](tmp_path / "void", "test", [])
    with pytest.raises(ValueError, match="but it is empty; run the test again"):
        build_report([tmp_path / "void"], tmp_path / "out")
    for parent in ("x", "y"):
        factory["write_set"](tmp_path / parent / "same", "test", factory["make_predictions"]("standard", "test", 4))
    with pytest.raises(ValueError, match="are both 'same'; rename one"):
        build_report([tmp_path / "x" / "same", tmp_path / "y" / "same"], tmp_path / "out")
    (tmp_path / "x" / "same" / "predictions" / "test.jsonl").write_text("{")
    with pytest.raises(PredictionsFormatError, match="expected one JSON object"):
        build_report([tmp_path / "x" / "same"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "values", "shown"),
    [
        ("threshold", (0.5, 0.8), r"0\.5 for test, ood_rephrased; 0\.8 for test\+linf_pgd"),
        ("threshold", (0.5, None), r"0\.5 for test, ood_rephrased; None for test\+linf_pgd"),
        (
            "checkpoint",
            ("old.ckpt", "new.ckpt"),
            r".*/old\.ckpt for test, ood_rephrased; .*/new\.ckpt for test\+linf_pgd",
        ),
        ("checkpoint", (None, "new.ckpt"), r"None for test, ood_rephrased; .*/new\.ckpt for test\+linf_pgd"),
    ],
)
def test_what_two_tests_left_in_one_folder_is_not_compared(
    factory: Factory, tmp_path: Path, key: str, values: tuple[Any, Any], shown: str
) -> None:
    made = factory["make_predictions"]("standard", "test", 10)
    for name in ("test", "ood_rephrased", "test+linf_pgd"):
        factory["write_set"](tmp_path / "standard", name, made, **{key: values["+" in name]})
    expected = (
        rf"Expected one {key} for all sets of the run '.*standard' but got {shown}.*; test again into a fresh folder"
    )
    for runs in ([tmp_path / "standard"], {"arm": [tmp_path / "standard"]}):
        with pytest.raises(UserError, match=expected):
            build_report(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_checkpoint_may_be_written_in_several_ways(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = factory["make_predictions"]("standard", "test", 10)
    for name, checkpoint in (("test", "a/last.ckpt"), ("test+linf_pgd", str(tmp_path / "a" / "last.ckpt"))):
        factory["write_set"](tmp_path / "standard", name, made, checkpoint=checkpoint)
    assert len(read_runs([tmp_path / "standard"])[0].sets) == 2


def test_a_broken_gallery_leaves_no_report(factory: Factory, tmp_path: Path) -> None:
    run = tmp_path / "standard"
    factory["write_set"](run, "test", factory["make_predictions"]("standard", "test", 4))
    factory["write_gallery"](run, "test+linf_pgd", 1)
    (run / "gallery" / "index.json").write_text("[{}]")
    with pytest.raises(GalleryFormatError, match="entry 0"):
        build_report([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()
