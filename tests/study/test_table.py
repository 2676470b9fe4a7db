"""The study's figures against plain loops, and by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lit_vlr.errors import UserError
from lit_vlr.study.answered import read_cells
from lit_vlr.study.plan import Plan
from lit_vlr.study.settings import Arm, Promise
from lit_vlr.study.table import Table, make_table, study_table
from lit_vlr.study.words import answer
from lit_vlr.study.write import as_csv, as_json, as_markdown
from lit_vlr.types import Prediction
from tests.oracles import study as oracle
from tests.study._studies import rows, scored, write_cell

RISK, COST, RESAMPLES = 0.3, 2.0, 40
LEVELS = (0.1, 0.3, 0.3, 0.5, 0.7, 0.9)  # few, so that there are ties


def columns(seed: int, n: int = 24) -> tuple[list[float], list[float], float]:
    rng = np.random.default_rng(seed)
    confidence, accuracy = rng.choice(LEVELS, n).tolist(), rng.choice((0.0, 0.3, 1.0, 1.0), n).tolist()
    return confidence, accuracy, (0.5, 0.3, 0.9)[seed % 3]


IMAGES = [f"picture {i // 2}" for i in range(24)]
ARMS = {"sft": [columns(0), columns(1)], "robust": [columns(2), columns(3)], "base": [columns(4)]}
HARD = {"sft": [columns(5), columns(6)], "robust": [columns(7), columns(8)], "base": [columns(9)]}


@pytest.fixture(scope="module")
def table() -> Table:
    sets = {"test": ARMS, "test+pgd": HARD}
    answered = {
        name: {arm: {seed: scored(*one, IMAGES) for seed, one in enumerate(seeds)} for arm, seeds in arms.items()}
        for name, arms in sets.items()
    }
    return make_table(answered, "sft", RISK, (COST,), RESAMPLES)


def drawn_pictures() -> list[list[str]]:
    """The pictures of every resample, by the documented generator."""
    names = sorted(set(IMAGES))
    drawn = np.random.default_rng(0).integers(len(names), size=(RESAMPLES, len(names)))
    return [[names[i] for i in one] for one in drawn]


def spread(values: list[float]) -> tuple[float, float]:
    return tuple(np.quantile(values, (0.025, 0.975)))


@pytest.mark.parametrize(("name", "arms"), [("test", ARMS), ("test+pgd", HARD)])
@pytest.mark.parametrize("arm", ARMS)
def test_rows_equal_plain_loops(table: Table, name: str, arms, arm: str) -> None:
    row = table.row(arm, name)
    assert row is not None
    expected = oracle.figures(arms[arm], RISK, COST)
    assert set(row.metrics) == set(expected)
    resampled = [oracle.figures(oracle.resample(arms[arm], IMAGES, d), RISK, COST) for d in drawn_pictures()]
    for key, value in expected.items():
        assert row.metrics[key].value == pytest.approx(value, abs=1e-9), key
        assert row.metrics[key][1:] == pytest.approx(spread([one[key] for one in resampled]), abs=1e-9), key
    for seed, one in enumerate(arms[arm]):
        alone = oracle.figures([one], RISK, COST)
        assert {key: values[seed] for key, values in row.by_seed.items()} == pytest.approx(alone, abs=1e-9)
    assert (row.n, row.images, row.seeds) == (24, 12, tuple(range(len(arms[arm]))))
    assert row.thresholds == tuple(threshold for _, _, threshold in arms[arm])


def test_differences_and_ratios_are_paired(table: Table) -> None:
    found = next(one for one in table.arms if (one.arm, one.set) == ("robust", "test+pgd"))
    pairs = [
        [oracle.figures(oracle.resample(HARD[arm], IMAGES, d), RISK, COST) for arm in ("robust", "sft")]
        for d in drawn_pictures()
    ]
    whole = [oracle.figures(HARD[arm], RISK, COST) for arm in ("robust", "sft")]
    for key, difference in found.differences.items():
        assert difference.value == pytest.approx(whole[0][key] - whole[1][key], abs=1e-9)
        assert difference[1:3] == pytest.approx(spread([a[key] - b[key] for a, b in pairs]), abs=1e-9), key
    for key, ratio in found.ratios.items():
        assert ratio.value == pytest.approx(whole[0][key] / whole[1][key])
        assert ratio[1:] == pytest.approx(spread([a[key] / b[key] for a, b in pairs]), abs=1e-9)


def test_what_is_compared(table: Table) -> None:
    assert [(one.arm, one.set, one.minus_arm) for one in table.arms] == [
        (arm, name, "sft") for name in ("test", "test+pgd") for arm in ("robust", "base")
    ]
    assert [(one.arm, one.minus_arm, one.minus_set) for one in table.attacks] == [(a, a, "test") for a in ARMS]


def test_the_order_of_rows_does_not_matter(table: Table) -> None:
    def shuffled(one, seed):
        order = np.random.default_rng(seed).permutation(24)
        return replace(one, answers=one.answers.rows(order))

    answered = {
        "test": {
            arm: {seed: shuffled(scored(*one, IMAGES), seed) for seed, one in enumerate(seeds)}
            for arm, seeds in ARMS.items()
        }
    }
    again = make_table(answered, "sft", RISK, (COST,), RESAMPLES)
    for row in again.rows:
        same = table.row(row.arm, "test")
        assert same is not None
        for key, interval in row.metrics.items():
            assert tuple(interval) == pytest.approx(tuple(same.metrics[key]), abs=1e-12), key


def test_by_hand() -> None:
    """Threshold .5 answers three of four, one of them wrong: risk 1/3, where 1/4 was promised.

    The best threshold at risk 1/4 answers the surest two: coverage 1/2, so the gap is 1/2 - 3/4. At cost 2 the three
    earn (1 + 1 - 2)/4 = 0, the surest two 1/2.
    """
    made = make_table({"test": {"a": {0: scored([0.9, 0.8, 0.6, 0.2], [1.0, 1.0, 0.0, 0.0], 0.5)}}}, "a", 0.25, (2,), 5)
    values = {key: interval.value for key, interval in made.rows[0].metrics.items()}
    assert values["coverage"] == 0.75
    assert values["risk"] == pytest.approx(1 / 3)
    assert values["violation"] == pytest.approx(1 / 3 - 1 / 4)
    assert values["oracle_coverage_gap"] == -0.25
    assert values["effective_reliability@2"] == 0
    assert values["oracle_reliability_gap@2"] == 0.5


def test_effective_reliability_is_that_of_the_threshold_chosen_for_its_cost(tmp_path: Path) -> None:
    """On the calibration split .9 and .8 are right, .6 and .5 wrong: a price of 10 answers from .8 on, one of 0 all.

    At .8 the test set earns (1 - 10)/4, where the promised risk, which allows everything, would earn (2 - 2 · 10)/4.
    """
    plan = Plan(tmp_path, {"a": Arm(("x",))}, costs=(0, 10), n_resamples=3)
    (cell,) = plan.cells
    calibration = rows([0.9, 0.8, 0.6, 0.5], [1.0, 1.0, 0.0, 0.0], 0.0, list("efgh"))
    calibration = [replace(p, uid=f"c/{p.uid}") for p in calibration]
    tested = rows([0.95, 0.85, 0.7, 0.6], [1.0, 0.0, 1.0, 0.0], 0.0)
    write_cell(cell, {"calibration": calibration, "test": tested}, threshold=0.0)
    (scores,) = read_cells([cell])["test"]["a"].values()
    assert scores.by_cost == {0: 0.5, 10: 0.8}
    values = {key: found.value for key, found in study_table(plan).rows[0].metrics.items()}
    assert values["coverage"] == 1
    assert values["effective_reliability@10"] == (1 - 10) / 4
    assert (
        values["effective_reliability@0"]
        == sum(p.accuracy or 0 for p in tested if p.confidence >= scores.by_cost[0]) / 4
    )


def test_where_nothing_is_answered_risk_is_not_defined_but_of_seeds_together_it_is() -> None:
    silent, speaks = scored([0.9, 0.1], [1.0, 0.0], math.inf), scored([0.9, 0.1], [1.0, 0.0], 0.0)
    made = make_table({"test": {"silent": {0: silent}, "half": {0: silent, 1: speaks}}}, "silent", 0.1, (1,), 5)
    assert math.isnan(made.rows[0].metrics["risk"].value)
    assert made.rows[1].metrics["risk"].value == 0.5
    assert math.isnan(made.rows[1].by_seed["risk"][0])
    assert '"risk": {\n     "value": null,' in as_json(made, [])
    assert "silent,test,2,0,risk,,,\n" in as_csv(made)
    assert "| test | silent | 2 × 1 | 50.0 " in as_markdown(made, [])


def test_other_questions_are_not_compared() -> None:
    one, other = scored([0.9, 0.1], [1.0, 0.0], 0.5), scored([0.9, 0.1, 0.2], [1.0, 0.0, 1.0], 0.5)
    with pytest.raises(UserError, match="Expected every arm to answer the same questions of test but b under seed 3"):
        make_table({"test": {"a": {0: one}, "b": {3: other}}}, "a", 0.1)


def test_documents_hold_every_figure(table: Table) -> None:
    document = json.loads(as_json(table, answer(table)))
    assert len(document["rows"]) == 6
    row = document["rows"][0]
    assert row["metrics"]["aurc"]["value"] == pytest.approx(oracle.figures(ARMS["sft"], RISK, COST)["aurc"])
    assert row["thresholds"] == [0.5, 0.3]
    lines = as_csv(table).splitlines()
    assert len(lines) == 1 + 6 * len(row["metrics"])
    text = as_markdown(table, answer(table))
    assert "## Each arm minus “sft”" in text
    assert "## Under attack minus clean" in text
    rows_of_table = [line for line in text.splitlines() if line.startswith("| test")]
    assert len({line.count(" | ") for line in rows_of_table[:6]}) == 1


def finished(tmp_path: Path, **sets) -> Plan:
    plan = Plan(tmp_path, {"sft": Arm(("a.yaml",)), "later": Arm(("a.yaml",))}, n_resamples=20)
    write_cell(plan.cells[0], sets)
    return plan


def test_cells_that_are_not_through_are_left_out(tmp_path: Path) -> None:
    calibration = [replace(p, uid=f"c/{p.uid}") for p in rows([0.9, 0.4], [1.0, 0.0], 0.5)]
    plan = finished(tmp_path, calibration=calibration, test=rows([0.9, 0.4], [1.0, 0.0], 0.5))
    assert [(row.arm, row.thresholds) for row in study_table(plan).rows] == [("sft", (0.5,))]
    with pytest.raises(UserError, match=r"Expected tested arms in .* but there are none"):
        study_table(replace(plan, root=tmp_path / "elsewhere"))


def test_what_declines_in_words_earns_nothing_and_chooses_no_threshold(tmp_path: Path) -> None:
    """Two answers, one wrong; two declined, which is what the annotators said, too.

    For answers they would make a threshold of 0 worth (1 - 1 + 1 + 1)/4 at cost 1. Answers alone earn 0 together and
    1/4 with the surest.
    """

    def made(prefix: str) -> list[Prediction]:
        given = rows([0.9, 0.8, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0], -1.0)
        said = [replace(p, uid=f"{prefix}/{p.uid}") for p in given]
        return [*said[:2], *(replace(p, abstained=True, declined=True) for p in said[2:])]

    plan = finished(tmp_path, calibration=made("c"), test=made("t"))
    (row,) = study_table(plan).rows
    values = {name: interval.value for name, interval in row.metrics.items()}
    assert values["effective_reliability@1"] == 0.25
    assert values["oracle_reliability_gap@1"] == 0
    assert values["coverage"] == 0.5
    assert values["aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4)


def test_the_legend_says_which_threshold_a_cost_has(tmp_path: Path) -> None:
    """Without calibration predictions there is none but the checkpoint's."""
    plan = finished(tmp_path, test=rows([0.9, 0.1], [1.0, 0.0], 0.5))
    own, promised = "at the threshold that the calibration split has for that cost.", "at the threshold in force."
    write_cell(plan.cells[0], {"calibration": [replace(p, uid=f"c/{p.uid}") for p in rows([0.9], [1.0], 0.5)]})
    assert own in as_markdown(study_table(plan), [])
    text = as_markdown(study_table(replace(plan, threshold=Promise("checkpoint"))), [])
    assert promised in text
    assert own not in text


def test_a_calibration_set_that_shares_a_question_is_refused(tmp_path: Path) -> None:
    same = rows([0.9, 0.4], [1.0, 0.0], 0.5)
    plan = finished(tmp_path, calibration=same, test=same)
    with pytest.raises(UserError, match="to be apart but 2 questions are in both, such as u/0"):
        read_cells(plan.cells[:1])


def test_answers_without_labels_are_refused(tmp_path: Path) -> None:
    calibration = [replace(p, uid=f"c/{p.uid}") for p in rows([0.9], [1.0], 0.5)]
    plan = finished(
        tmp_path, calibration=calibration, test=[replace(p, accuracy=None) for p in rows([0.9], [1.0], 0.5)]
    )
    with pytest.raises(UserError, match=r"Expected labels in .*test.jsonl but u/0 has none"):
        read_cells(plan.cells[:1])
