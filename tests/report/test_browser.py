"""The page in a real browser: the slider is moved, and what it then shows is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from lit_vlr.predictions import read_predictions
from lit_vlr.report import build_report

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FOUND = next((path for name in BROWSERS if (path := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(FOUND is None, reason=f"none of {', '.join(BROWSERS)} is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=FOUND, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(runs, tmp_path_factory.mktemp("page"), n_resamples=20)


@pytest.fixture
def look(browser: Browser, report: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page; afterwards nothing may have been fetched or complained of."""
    contexts, fetched, said = [], [], []

    def open_page(**options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: fetched.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in fetched if not url.startswith("data:")] == [report.as_uri()] * len(contexts)
    assert said == []


def row(page: Page, arm: int, name: str) -> list[str]:
    """Threshold, coverage and risk as they are shown now."""
    found = page.locator(f'#thresholds tr[data-number="{arm}"][data-set="{name}"]')
    return [found.locator(f".{kind}").inner_text() for kind in ("threshold", "coverage", "risk")]


def rates(folder: Path, name: str, threshold: float) -> list[str]:
    rows = read_predictions(folder / "predictions" / f"{name}.jsonl")
    given = [p.accuracy for p in rows if p.confidence >= threshold]
    risk = f"{100 * (1 - sum(given) / len(given)):.1f}%" if given else "–"
    return [f"{100 * len(given) / len(rows):.1f}%", risk]


@pytest.mark.parametrize("position", [-60, -25, 40])
def test_moving_the_slider_changes_coverage_and_risk_of_whole_sets(look, runs: list[Path], position: int) -> None:
    page = look()
    frozen = {(arm, name): row(page, arm, name) for arm in (0, 1) for name in ("test", "test+linf_pgd")}
    page.locator("#threshold").fill(str(position))
    for (arm, name), before in frozen.items():
        assert before == ["0.5", *rates(runs[arm], name, 0.5)]
        threshold, coverage, risk = row(page, arm, name)
        assert [coverage, risk] == rates(runs[arm], name, float(threshold))  # confidences have four digits
        assert (float(coverage[:-1]) < float(before[1][:-1])) == (position < 0)
    way = ("Stricter", "withholds") if position < 0 else ("Looser", "also answers")
    said = page.locator("#threshold-says").inner_text()
    assert said.startswith(f"{way[0]}: each arm {way[1]} {abs(position)}%")
    page.locator("#threshold-frozen").click()
    assert {key: row(page, *key) for key in frozen} == frozen


def test_keys_move_it_and_the_gallery_shows_which_answers_are_given(look) -> None:
    page = look()
    answers = page.locator(".said").all()
    assert len(answers) == 3 * 2 * 2  # cards, arms, clean and attacked

    def given() -> list[bool]:
        shown = [answer.locator(".badge").is_hidden() for answer in answers]
        assert shown == ["withheld" not in (a.locator("q").get_attribute("class") or "") for a in answers]
        said = page.locator("#threshold-says").inner_text()
        assert f"In the gallery, {sum(shown)} of {len(answers)} answers are given" in said
        return shown

    confidence = [float(answer.get_attribute("data-confidence")) for answer in answers]
    arms = [int(answer.get_attribute("data-number")) for answer in answers]
    assert given() == [c >= 0.5 for c in confidence]
    slider = page.locator("#threshold")
    slider.focus()
    for key, count in (("ArrowLeft", 50), ("Home", 1), ("End", 1)):
        for _ in range(count):
            slider.press(key)
        thresholds = [row(page, arm, "test")[0] for arm in (0, 1)]
        now = given()
        if key == "Home":
            assert thresholds == ["above all"] * 2
            assert not any(now)
            assert page.locator("#threshold-says").inner_text().startswith("Nothing is answered.")
        else:
            assert now == [c >= float(thresholds[arm]) for c, arm in zip(confidence, arms, strict=True)]
            assert all(now) == (key == "End")


def test_without_scripts_the_page_shows_the_frozen_thresholds(look, runs: list[Path]) -> None:
    page = look(java_script_enabled=False)
    assert page.locator("#threshold-control").is_hidden()
    assert row(page, 1, "test+linf_pgd") == ["0.5", *rates(runs[1], "test+linf_pgd", 0.5)]
    assert page.locator("noscript").inner_text().startswith("Without scripts")
    assert page.locator("svg.plot").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(look, scheme: str) -> None:
    page = look(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    backgrounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert backgrounds == {"light": "rgb(245, 247, 250)", "dark": "rgb(16, 20, 27)"}[scheme]


def test_the_policy_lets_no_other_script_run(report: Path, browser: Browser, tmp_path: Path) -> None:
    changed = tmp_path / "changed.html"
    text = report.read_text()
    evil = text.replace("</main>", '<script>document.title = "owned"</script></main>')
    changed.write_text(evil)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(changed.as_uri())
    assert page.title() == "Selective prediction under attack"
    assert "Content Security Policy" in said[0]
    page.close()
