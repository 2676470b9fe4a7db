"""Several fits of one arm as one: rates over all answers, areas of each fit, pictures drawn with all fits' answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lit_vlr.errors import UserError
from lit_vlr.functional import aurc, risk_coverage_curve
from lit_vlr.predictions import read_predictions
from lit_vlr.report import build_report
from lit_vlr.report.panels import curve_sections
from lit_vlr.report.pooling import mean_curve, read_arms
from lit_vlr.report.summary import Summary, summarize
from lit_vlr.report.words import sentences

Factory = dict[str, Callable[..., Any]]


@pytest.fixture
def fits(tmp_path: Path, factory: Factory) -> list[Path]:
    """Two fits of one arm, whose confidences are of different scales."""
    folders = []
    for seed, arm in enumerate(("standard", "adversarial")):
        folder = tmp_path / f"sft-{seed}"
        for name in ("test", "test+linf_pgd"):
            made = factory["make_predictions"](arm, name, 40)
            factory["write_set"](folder, name, made, seed=seed, threshold=0.5 + seed / 10)
        folders.append(folder)
    return folders


def test_rates_are_of_all_answers_and_areas_of_each_fit(fits: list[Path]) -> None:
    (run,) = read_arms({"sft": fits})
    summary = summarize([run], n_resamples=50, n_resamples_rows=20)
    assert summary.arms == ("sft",)
    for row in summary.rows:
        each = [read_predictions(folder / "predictions" / f"{row.set}.jsonl") for folder in fits]
        assert row.n == sum(map(len, each)) == 80
        accuracy = np.mean([p.accuracy for predictions in each for p in predictions])
        assert row.rates.accuracy is not None
        assert row.rates.accuracy.value == pytest.approx(accuracy)
        areas = [float(aurc([p.confidence for p in q], [p.accuracy for p in q])) for q in each]
        assert row.aurc is not None
        assert row.aurc.value == pytest.approx(np.mean(areas))
    (change,) = summary.changes
    assert change.n == 80


def test_what_is_declined_in_words_is_given_last(fits: list[Path], factory: Factory, tmp_path: Path) -> None:
    """In areas as in the functional package; curves end at what is left to answer."""
    folders, areas = [], []
    for seed, one in enumerate(fits):
        made = read_predictions(one / "predictions" / "test.jsonl")
        n = 4 + 4 * seed
        said = [replace(p, confidence=0.0, accuracy=1.0, abstained=True, declined=True) for p in made[:n]]
        folder = tmp_path / f"declining-{seed}"
        factory["write_set"](folder, "test", [*said, *made[n:]], seed=seed, threshold=0.5)
        folders.append(folder)
        columns = [(p.confidence, p.accuracy, p.declined) for p in [*said, *made[n:]]]
        confidence, correctness, declined = zip(*columns, strict=True)
        areas.append(float(aurc(confidence, correctness, abstained=declined)))
    (run,) = read_arms({"sft": folders})
    (row,) = summarize([run], n_resamples=50, n_resamples_rows=20).rows
    assert row.aurc is not None
    assert row.aurc.value == pytest.approx(np.mean(areas))
    (section,) = curve_sections([run])
    assert f"AURC: test {np.mean(areas):.3f}" in section.panels[0].caption
    coverage, _ = mean_curve(
        [
            risk_coverage_curve([p.confidence for p in q], [p.accuracy for p in q], abstained=[p.declined for p in q])
            for q in (read_predictions(folder / "predictions" / "test.jsonl") for folder in folders)
        ]
    )
    assert coverage[-1] == pytest.approx((40 - 8) / 40)


def test_a_picture_brings_the_answers_of_all_fits(fits: list[Path]) -> None:
    """One fit twice is no more data: intervals stay as they are."""
    (once,), (twice,) = read_arms({"sft": fits[:1]}), read_arms({"sft": [fits[0], _copy(fits[0], seed=1)]})
    first, second = (summarize([run], n_resamples=50, n_resamples_rows=20).rows[0] for run in (once, twice))
    assert (first.n, second.n) == (40, 80)
    assert second.rates.accuracy == pytest.approx(first.rates.accuracy)
    assert second.aurc == pytest.approx(first.aurc)


def _copy(folder: Path, seed: int | None) -> Path:
    """The same answers as those of a fit with another seed."""
    other = folder.parent / f"copy-{seed}"
    shutil.copytree(folder, other)
    for path in (other / "predictions").glob("*.manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": seed}))
    return other


def test_a_fit_without_a_set_leaves_the_others_paired(fits: list[Path], factory: Factory, tmp_path: Path) -> None:
    """Fit 1 answered an attacked set that fit 0 has not; its clean twin are its own answers."""
    made = factory["make_predictions"]("adversarial", "test+rotation", 40)
    factory["write_set"](fits[1], "test+rotation", made, threshold=0.6)
    (run,) = read_arms({"sft": fits})
    assert run.sets["test"].fits == (0,) * 40 + (1,) * 40
    assert run.sets["test+rotation"].fits == (1,) * 40
    assert run.sets["test+rotation"].thresholds == {1: 0.6}
    (change,) = (c for c in summarize([run], n_resamples=20, n_resamples_rows=5).changes if c.attack == "rotation")
    clean = read_predictions(fits[1] / "predictions" / "test.jsonl")
    assert change.n == 40
    assert change.accuracy_loss is not None
    lost = np.mean([p.accuracy - q.accuracy for p, q in zip(clean, made, strict=True)])
    assert change.accuracy_loss.value == pytest.approx(lost)


def test_manifests_say_what_differs(fits: list[Path]) -> None:
    (run,) = read_arms({"sft": fits})
    manifest = run.sets["test"].manifest
    assert (manifest["seed"], manifest["threshold"], manifest["data"]) == ("0, 1", "0.5, 0.6", "scenes, seed 0")


@pytest.fixture
def arm(tmp_path: Path, factory: Factory) -> Callable[..., list[Path]]:
    """Makes fits with the given seeds, each with answers of its own."""

    def make(name: str, *seeds: int | None, **changes: Any) -> list[Path]:
        folders = [tmp_path / f"{name}-{place}" for place in range(len(seeds))]
        for folder, seed in zip(folders, seeds, strict=True):
            rng = np.random.default_rng([len(name), 7 if seed is None else seed])
            for one in ("test", "test+linf_pgd"):
                made = factory["make_predictions"]("standard", one, 40)
                made = [replace(p, accuracy=float(rng.integers(2))) for p in made]
                factory["write_set"](folder, one, made, seed=seed, **changes)
        return folders

    return make


def _summary(**arms: list[Path]) -> Summary:
    return summarize(read_arms(arms), n_resamples=20, n_resamples_rows=5)


def _accuracies(folder: Path, name: str = "test") -> list[float]:
    return [p.accuracy or 0.0 for p in read_predictions(folder / "predictions" / f"{name}.jsonl")]


def test_fits_are_paired_by_their_seed_and_not_by_their_place(arm: Callable[..., list[Path]]) -> None:
    """Seeds 0 and 2 are through of one arm, 0 and 1 of the other: their seconds are no pair."""
    sft, other = arm("sft", 2, 0), arm("other", 0, 1)
    found = _summary(sft=sft, other=other)
    (clean,), (lost,) = found.clean_contrasts, found.loss_contrasts
    assert (clean.n, clean.fits, lost.n, lost.fits) == (40, 1, 40, 1)
    assert clean.difference.value == pytest.approx(np.mean(_accuracies(other[0])) - np.mean(_accuracies(sft[1])))
    losses = [np.mean(_accuracies(x)) - np.mean(_accuracies(x, "test+linf_pgd")) for x in (other[0], sft[1])]
    assert lost.difference.value == pytest.approx(losses[0] - losses[1])
    said = [line for line in sentences(found) if "that both have)" in line]
    assert len(said) == 2
    assert all("(on the one fit that both have)" in line for line in said)


def test_one_fit_is_compared_with_its_seed_among_several(arm: Callable[..., list[Path]]) -> None:
    sft, other = arm("sft", 0, 1, 2), arm("other", 2)
    (clean,) = _summary(sft=sft, other=other).clean_contrasts
    assert (clean.n, clean.fits) == (40, 1)
    assert clean.difference.value == pytest.approx(np.mean(_accuracies(other[0])) - np.mean(_accuracies(sft[2])))


def test_all_fits_in_common_need_no_word(arm: Callable[..., list[Path]]) -> None:
    found = _summary(sft=arm("sft", 0, 1), other=arm("other", 1, 0))
    assert [(c.n, c.fits) for c in (*found.loss_contrasts, *found.clean_contrasts)] == [(80, None)] * 2
    assert not any("both have" in line for line in sentences(found))


def test_arms_without_a_common_seed_are_said_not_to_be_compared(arm: Callable[..., list[Path]]) -> None:
    found = _summary(sft=arm("sft", 0, 1), other=arm("other", 2))
    assert found.loss_contrasts == found.clean_contrasts == ()
    expected = (
        "“other” and “sft” are not compared on test+linf_pgd, test: they have no question, or no seed, in common there."
    )
    assert expected in sentences(found)


@pytest.mark.parametrize("first", ["base", "sft"])
def test_an_arm_that_was_not_fitted_is_compared_with_every_fit(arm: Callable[..., list[Path]], first: str) -> None:
    """Its answers do not depend on the seed: the others' mean over fits, picture by picture."""
    base, sft = arm("base", 0, checkpoint=None), arm("sft", 1, 2, 3, checkpoint="last.ckpt")
    arms = {"base": base, "sft": sft}
    found = _summary(**{first: arms.pop(first)}, **arms)
    (clean,) = found.clean_contrasts
    sign = 1 if first == "base" else -1
    difference = np.mean([_accuracies(folder) for folder in sft]) - np.mean(_accuracies(base[0]))
    assert (clean.n, clean.fits) == (120, None)
    assert clean.difference.value == pytest.approx(sign * difference)
    assert [row.n for row in found.rows_of("base")] == [40, 40]


def test_without_seeds_fits_are_paired_by_their_place(arm: Callable[..., list[Path]]) -> None:
    found = _summary(sft=arm("sft", None, 5), other=arm("other", 7, 8))
    assert [(c.n, c.fits) for c in found.clean_contrasts] == [(80, None)]


def test_two_fits_with_one_seed_are_refused(arm: Callable[..., list[Path]]) -> None:
    with pytest.raises(
        UserError, match=r"one fit a seed of 'sft' but '.*sft-0' and '.*sft-2' have seed 0; leave one out"
    ):
        read_arms({"sft": arm("sft", 0, 1, 0)})


def test_the_mean_curve_has_the_mean_area() -> None:
    columns = [([0.9, 0.8, 0.8, 0.1], [1.0, 0.0, 1.0, 0.0]), ([9, 7, 5, 3], [0.0, 1.0, 1.0, 0.3])]
    coverage, risk = mean_curve([risk_coverage_curve(*one) for one in columns])
    assert coverage == [0.25, 0.5, 0.75, 1.0]
    assert np.mean(risk) == pytest.approx(np.mean([float(aurc(*one)) for one in columns]))


def test_a_report_of_arms(fits: list[Path], tmp_path: Path) -> None:
    arms = {"both": fits, "first": fits[:1]}
    page = build_report(arms, tmp_path / "out.html", n_resamples=20).read_text()
    assert 'data-arm="both"' in page
    assert 'data-arm="sft-0"' not in page
    assert "80" in page
