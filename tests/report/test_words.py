"""No sentence is stronger than its interval."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lit_vlr.functional import Interval
from lit_vlr.report.contrasts import Contrast
from lit_vlr.report.summary import Change, Rates, Row, Summary
from lit_vlr.report.words import direction, headline, sentences

RATES = Rates(Interval(0.7, 0.6, 0.8), Interval(0.1, 0.05, 0.15), Interval(0.75, 0.65, 0.85))
UP, DOWN, OPEN = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1), Interval(0.05, -0.1, 0.2)
UNKNOWN = Interval(0.05, math.nan, math.nan)


def summary(loss: Interval, contrast: Interval, rise: Interval = OPEN) -> Summary:
    changes = tuple(Change(arm, "test", "pgd", 50, RATES, RATES, loss, rise) for arm in ("a", "b"))
    clean = (Contrast("b", "a", "test", None, 50, contrast),)
    rows = tuple(Row(arm, "test", "test", None, 50, 50, RATES, None, None) for arm in ("a", "b"))
    lost = (replace(clean[0], attack="pgd"),)
    return Summary(("a", "b"), ("test", "test+pgd"), rows, changes, lost, clean, 1000, 500)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(UP, "more"), (DOWN, "less"), (OPEN, "open"), (UNKNOWN, "unknown"), (Interval(0.1, 0.0, 0.2), "open")],
)
def test_direction(interval: Interval, expected: str) -> None:
    assert direction(interval) == expected


def test_clear_differences_are_stated() -> None:
    text = " ".join(sentences(summary(UP, DOWN, UP)))
    assert "the attack took 20.0 points [10.0, 30.0]" in text
    assert "“b” lost 20.0 points [10.0, 30.0] less under pgd on test than “a”" in text
    assert "the accuracy of “b” is 20.0 points [10.0, 30.0] lower than that of “a”" in text
    assert "20.0 points [10.0, 30.0] more; what it did answer" in text
    text = " ".join(sentences(summary(DOWN, UP, DOWN)))
    assert "an attack that does not work" in text
    assert "“b” lost 20.0 points [10.0, 30.0] more under pgd" in text
    assert "20.0 points [10.0, 30.0] higher than" in text


@pytest.mark.parametrize("interval", [OPEN, UNKNOWN, Interval(0.0, 0.0, 0.0)])
def test_open_differences_are_not(interval: Interval) -> None:
    for text in (
        " ".join(sentences(summary(interval, interval, interval))),
        " ".join(headline(summary(interval, interval))),
    ):
        for claim in ("took", "fewer", "] less", "] more", "higher", "lower", "gained", "does not work"):
            assert claim not in text
        assert "not settled" in text
        assert "not shown to differ" in text
        assert "nan" not in text


def test_an_open_cost_is_bounded() -> None:
    assert "a cost of up to 10.0 points is compatible with these data" in " ".join(headline(summary(UP, OPEN)))


def test_headline_is_short_and_about_the_worst_attack() -> None:
    found = summary(UP, DOWN)
    harmless = tuple(replace(change, attack="blur", accuracy_loss=OPEN) for change in found.changes)
    lines = headline(replace(found, changes=harmless + found.changes))
    assert len(lines) == 3
    assert lines[0] == "Under pgd on test, “a” lost 20.0 points [10.0, 30.0]; “b” lost 20.0 points [10.0, 30.0]."


def test_the_best_of_many_arms_is_said_to_be_picked() -> None:
    found = summary(UP, DOWN)
    losses = tuple(replace(found.loss_contrasts[0], arm=arm) for arm in "bcd")
    better = replace(losses[1], difference=Interval(-0.4, -0.5, -0.3))
    lines = headline(replace(found, loss_contrasts=(losses[0], better, losses[2])))
    assert [line for line in lines if "than" in line] == [
        "“c” lost 40.0 points [30.0, 50.0] less under pgd on test than “a”."
        " It is the best of 3 arms, picked on these very pictures, which flatters it."
    ]
