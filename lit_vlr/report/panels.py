"""What a report's figures show: sections of panels, each a drawing with a heading and a caption."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from lit_vlr.functional import Interval, aurc, risk_coverage_curve
from lit_vlr.report import words
from lit_vlr.report.drawing import Drawing
from lit_vlr.report.figures import Curve, against_eps, bars, risk_coverage
from lit_vlr.report.pooling import mean_curve, mean_over_fits
from lit_vlr.report.runs import PredictionSet, Run, set_names
from lit_vlr.report.strength import Strengths, strengths
from lit_vlr.report.summary import Rates, Summary, complement, fits_of, labelled

_CURVES_TEXT = (
    "Questions enter from the most to the least confident, left to right; lower is better. The marker is what the arm"
    " really did at the threshold in force: how much it answered, and how often that was wrong."
)
_WHISKERS = "Whiskers: 95% intervals."


@dataclass(frozen=True)
class Panel:
    """One figure.

    Attributes:
        heading: above it.
        drawing: the figure.
        caption: below it.
    """

    heading: str
    drawing: Drawing
    caption: str


@dataclass(frozen=True)
class Section:
    """Figures that belong together.

    Attributes:
        heading: what they are about.
        text: how to read them.
        panels: side by side.
    """

    heading: str
    text: str
    panels: tuple[Panel, ...]


def sections(runs: Sequence[Run], summary: Summary) -> list[Section]:
    """All figures of a report: risk against coverage, rates against ε, every set side by side."""
    return [*curve_sections(runs), *eps_sections(runs, summary), bar_section(summary)]


def curve_sections(runs: Sequence[Run]) -> list[Section]:
    """A panel an arm: first clean against attacked, one section a data set; then the data sets against each other."""
    # One scale for all panels: an arm must not look better because its axis is longer.
    curves = {
        (run.name, one.name): curve for run in runs for one in run.sets.values() if (curve := _curve(one)) is not None
    }
    if not curves:
        return []
    top = _top(max(curve.risk) for curve in curves.values())
    names = set_names(runs)
    groups = [
        (f"Risk against coverage on {data}, clean and attacked", f"attacked-{data}", [data, *attacked])
        for data in dict.fromkeys(name.partition("+")[0] for name in names)
        if (attacked := [name for name in names if name.startswith(f"{data}+")])
    ]
    clean = [name for name in names if "+" not in name]
    if len(clean) > 1 or not groups:
        heading = "Risk against coverage on every set that was not attacked"
        groups.append((heading, "clean", clean or names))
    found, slug = [], _slugs()
    for number, (heading, kind, shown_sets) in enumerate(groups):
        panels = []
        for run in runs:
            shown = {name: curves[run.name, name] for name in shown_sets if (run.name, name) in curves}
            if shown:
                areas = [f"{name} {_area(run.sets[name]):.3f}" for name in shown]
                alt = f"Risk-coverage curves of {run.name}. AURC: {'; '.join(areas)}."
                name = slug(f"risk-coverage-{kind}-{run.name}")
                drawing = risk_coverage(list(shown.values()), name=name, alt=alt, max_risk=top)
                panels.append(Panel(run.name, drawing, f"AURC: {', '.join(areas)}."))
        text = _CURVES_TEXT if number == 0 else "Read like the curves above, on the same scale."
        found.append(Section(heading, text, tuple(panels)))
    return found


def eps_sections(runs: Sequence[Run], summary: Summary) -> list[Section]:
    """A section for each attack that was run at several ε: abstention, accuracy and risk at the frozen thresholds."""
    rates = {(row.arm, row.set): row.rates for row in summary.rows}
    slug = _slugs()
    return [
        Section(
            f"Against ε: {', '.join(one.names)} on {one.data}",
            "The same attack with a growing bound, at thresholds that do not move. Where accuracy falls, an arm that"
            " knows when it is wrong abstains more, so that its risk among the answered stays.",
            tuple(_eps_panels(one, rates, slug)),
        )
        for one in strengths(runs)
    ]


def bar_section(summary: Summary) -> Section:
    """Accuracy and abstention of every set, arms side by side."""
    panels = []
    for heading, label, values in (
        ("Abstention rate", "Abstention rate (% of questions)", _by_set(summary, lambda rates: rates.abstention)),
        ("Accuracy", "Accuracy (% of questions, abstained or not)", _by_set(summary, lambda rates: rates.accuracy)),
    ):
        if any(values.values()):
            name = f"sets-{heading.split()[0].lower()}"
            drawing = bars(values, sets=summary.sets, name=name, alt=_spoken(heading, values), label=label)
            panels.append(Panel(heading, drawing, _WHISKERS))
    text = "An arm that knows when it is wrong abstains more where its accuracy is lower."
    return Section("Set by set", text, tuple(panels))


def _eps_panels(one: Strengths, rates: Mapping[tuple[str, str], Rates], slug: Callable[[str], str]) -> Iterable[Panel]:
    def picked(pick: Callable[[Rates], Interval | None]) -> dict[str, dict[float, Interval]]:
        found = {
            arm: {eps: value for eps, name in by_eps.items() if (value := pick(rates[arm, name])) is not None}
            for arm, by_eps in one.sets.items()
        }
        return {arm: by_eps for arm, by_eps in found.items() if by_eps}

    def risk(rates: Rates) -> Interval | None:
        return None if rates.selective_accuracy is None else complement(rates.selective_accuracy)

    for heading, label, values in (
        ("Abstention rate", "Abstention rate (% of questions)", picked(lambda rates: rates.abstention)),
        ("Risk among the answered", "Risk (% wrong among answered)", picked(risk)),
        ("Accuracy", "Accuracy (% of all questions)", picked(lambda rates: rates.accuracy)),
    ):
        if values:
            spoken = _spoken(
                heading, {arm: {_said(eps): v for eps, v in by_eps.items()} for arm, by_eps in values.items()}
            )
            name = slug(f"eps-{heading.split()[0].lower()}-{one.data}-{one.names[0]}")
            top = _top(max(value.value, value.high) for by_eps in values.values() for value in by_eps.values())
            drawing = against_eps(values, name=name, alt=spoken, label=label, top=top)
            yield Panel(heading, drawing, _WHISKERS)


def _said(eps: float) -> str:
    return f"ε {words.pixel_levels(eps)}" if eps else "clean"


def _by_set(summary: Summary, pick: Callable[[Rates], Interval | None]) -> dict[str, dict[str, Interval]]:
    return {
        arm: {row.set: value for row in summary.rows_of(arm) if (value := pick(row.rates)) is not None}
        for arm in summary.arms
    }


def _spoken(heading: str, values: Mapping[str, Mapping[str, Interval]]) -> str:
    arms = (
        f"{arm}: " + ", ".join(f"{name} {words.percent(value.value)}" for name, value in found.items())
        for arm, found in values.items()
    )
    return f"{heading}. {'; '.join(arms)}."


def _curve(one: PredictionSet) -> Curve | None:
    confidence, correctness, declined = labelled(one.predictions)
    fits = fits_of(one)
    by_fit = [
        risk_coverage_curve(confidence[own], correctness[own], abstained=declined[own])
        for own in (fits == fit for fit in np.unique(fits))
    ]
    if not by_fit or not all(len(curve.coverage) for curve in by_fit):  # no labels, or everything declined in words
        return None
    answered = [p.accuracy for p in one.predictions if p.accuracy is not None and not p.abstained]
    point = (len(answered) / len(confidence), 1 - sum(answered) / len(answered)) if answered else None
    return Curve(one.name, *mean_curve(by_fit), point)


def _area(one: PredictionSet) -> float:
    return mean_over_fits(aurc)(*labelled(one.predictions), fits_of(one))


def _top(shares: Iterable[float]) -> float:
    """End of an axis that holds all shares, in whole tenths."""
    return min(1.0, 0.1 * (1 + int(10 * max(shares))))


def _slugs() -> Callable[[str], str]:
    """Turns names into ones that files and ids can have, each once.

    >>> slug = _slugs()
    >>> slug("test a$b"), slug("test a%b")
    ('test-a-b', 'test-a-b-2')
    """
    taken: set[str] = set()

    def slug(name: str) -> str:
        short = re.sub(r"[^A-Za-z0-9_]+", "-", name)[:80].strip("-")
        found = next(one for n in count(1) if (one := short if n == 1 else f"{short}-{n}").lower() not in taken)
        taken.add(found.lower())  # some file systems do not tell cases apart
        return found

    return slug
