"""The report's sentences, made from its numbers and never stronger than their intervals allow.

The rule: a direction ("lost", "fewer") is stated only where the 95% interval of the *paired difference* excludes zero;
otherwise the sentence says that these data do not settle it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from lit_vlr.functional import Interval
from lit_vlr.report.contrasts import Contrast
from lit_vlr.report.runs import is_control
from lit_vlr.report.summary import Change, Row, Summary, negate

LEAD = (
    "How accurate each arm is on each set, clean or attacked, when it abstains, and whether its confidence tells its"
    " right answers from its wrong ones. Every number is computed from the predictions files of the runs."
)

GLOSSARY = (
    (
        "Accuracy",
        "Mean score of the answers, from 0 to 1, over all questions, whether or not the arm abstained. The score is the"
        " set's own: soft VQA accuracy, by which an answer counts more the more annotators gave it, unless the set has"
        " another, such as exact match or yes/no. Risk is one minus accuracy.",
    ),
    (
        "Coverage",
        "Share of questions that the arm answered at the threshold in force; the rest is the abstention rate.",
    ),
    (
        "Selective accuracy",
        "Mean accuracy of the answered questions only. Abstaining never counts as right, nor as wrong.",
    ),
    (
        "AURC",
        "Area under the risk-coverage curve: the mean risk over all coverages when the least confident questions are"
        " dropped first. 0 is perfect; the mean convention, with ties entering together. Lower is better.",
    ),
    (
        "Coverage at 10% risk",
        "The largest share of questions that could be answered with at most 10% risk, by the best threshold on this"
        " very set. It is a property of the ordering, not a promise: in use the threshold comes from calibration data.",
    ),
)


def percent(value: float) -> str:
    """A share as a percentage.

    >>> percent(0.7104)
    '71.0%'
    """
    return f"{100 * value:.1f}%"


def percent_interval(interval: Interval) -> str:
    """A share with its interval.

    >>> percent_interval(Interval(0.7104, 0.68, 0.739))
    '71.0% [68.0, 73.9]'
    """
    return f"{percent(interval.value)} {brackets(interval)}"


def points(interval: Interval) -> str:
    """A difference of two shares with its interval, in percentage points.

    >>> points(Interval(-0.391, -0.422, -0.36))
    '−39.1 points [−42.2, −36.0]'
    """
    return f"{_signed(interval.value)} points {brackets(interval)}"


def brackets(interval: Interval, scale: float = 100, digits: int = 1) -> str:
    """The ends of an interval; one picture, or a quantity that is undefined in some resample, has none.

    >>> brackets(Interval(0.5, float("nan"), float("nan")))
    '[no interval]'
    """
    if direction(interval) == "unknown":
        return "[no interval]"
    return f"[{_signed(interval.low, scale, digits)}, {_signed(interval.high, scale, digits)}]"


def pixel_levels(eps: float) -> str:
    """Eps in [0, 1] pixel units as a multiple of 1/255, or of half of it, where it is one, as the literature writes it.

    >>> pixel_levels(8 / 255), pixel_levels(1.5 / 255), pixel_levels(0.05)
    ('8/255', '1.5/255', '0.05')
    """
    halves = 2 * 255 * eps
    return f"{round(halves) / 2:g}/255" if abs(halves - round(halves)) < 1e-3 else f"{eps:.3g}"


def direction(difference: Interval) -> Literal["more", "less", "open", "unknown"]:
    """What the interval of a difference allows to be said: `open` where it includes zero, `unknown` without one."""
    if math.isnan(difference.low) or math.isnan(difference.high):
        return "unknown"
    return "more" if difference.low > 0 else "less" if difference.high < 0 else "open"


def change_text(loss: Interval) -> str:
    """A loss in a few words, for a tile.

    >>> change_text(Interval(0.39, 0.36, 0.42)), change_text(Interval(0.01, -0.01, 0.03))
    ('lost 39.0 points [36.0, 42.0]', 'no clear change: −1.0 points [−3.0, 1.0]')
    """
    match direction(loss):
        case "more":
            return f"lost {points(loss)}"
        case "less":
            return f"gained {points(negate(loss))}"
        case _:
            return f"no clear change: {points(negate(loss))}"


def headline(summary: Summary) -> list[str]:
    """The answer in at most a few sentences: the attack that took most, what arms differ by, and the clean cost."""
    missing = _missing(summary)
    changes = [change for change in summary.changes if change.accuracy_loss is not None]
    if not changes:
        return missing
    worst = worst_first(changes)[0]
    arms = [c for c in changes if (c.data, c.attack) == (worst.data, worst.attack)]
    each = "; ".join(f"“{c.arm}” {change_text(c.accuracy_loss)}" for c in arms if c.accuracy_loss is not None)
    losses = [c for c in summary.loss_contrasts if (c.data, c.attack) == (worst.data, worst.attack)]
    picked = ""
    if len(losses) > 2:
        picked = f" It is the best of {len(losses)} arms, picked on these very pictures, which flatters it."
        losses = [min(losses, key=lambda c: c.difference.value)]
    compared = {c.arm for c in losses}
    return [
        *missing,
        f"Under {worst.attack} on {worst.data}, {each}.",
        *(_loss_contrast(c) + picked for c in losses),
        *(_clean_contrast(c) for c in summary.clean_contrasts if c.data == worst.data and c.arm in compared),
    ]


def worst_first(changes: Sequence[Change]) -> list[Change]:
    """The changes of accuracy on the first data set that was attacked, the attack that took most from any arm first."""
    known = [(change, change.accuracy_loss.value) for change in changes if change.accuracy_loss is not None]
    here = [(change, loss) for change, loss in known if change.data == known[0][0].data]
    most = {attack: max(loss for c, loss in here if c.attack == attack) for attack in {c.attack for c, _ in here}}
    return [change for change, _ in sorted(here, key=lambda pair: (-most[pair[0].attack], pair[0].attack))]


def sentences(summary: Summary) -> list[str]:
    """Every comparison: accuracy under attack, arms compared, abstention, sets compared."""
    return [
        *_missing(summary),
        *_losses(summary),
        *map(_loss_contrast, summary.loss_contrasts),
        *map(_clean_contrast, summary.clean_contrasts),
        *_abstention(summary),
        *_elsewhere(summary),
    ]


def _missing(summary: Summary) -> list[str]:
    """What these runs cannot say anything about."""
    missing = []
    if not any(row.rates.accuracy for row in summary.rows):
        missing.append("No prediction has labels, so nothing can be said about accuracy or risk.")
    if not summary.changes:
        missing.append(
            "No set was attacked and also left clean in these runs, so nothing can be said about robustness."
        )
    for arm, baseline, sets in summary.uncompared:
        missing.append(
            f"“{arm}” and “{baseline}” are not compared on {', '.join(sets)}: they have no question, or no seed, in"
            " common there."
        )
    return missing


def interval_note(summary: Summary) -> str:
    """What the brackets are."""
    return (
        f"95% percentile bootstrap over pictures ({summary.n_resamples:,} resamples; selective accuracy, AURC and"
        f" coverage at risk {summary.n_resamples_rows:,})."
    )


def caveat(summary: Summary) -> str:
    """What the intervals do not cover."""
    attack = (
        " An attack that was tried bounds robust accuracy from above only: a stronger one may take more."
        if summary.changes
        else ""
    )
    return (
        f"Brackets: {interval_note(summary)} They cover the choice of pictures, not the training seed, and each stands"
        f" for itself (no correction for the number of comparisons).{attack}"
    )


def _losses(summary: Summary) -> Iterator[str]:
    for change in summary.changes:
        clean, attacked, loss = change.clean.accuracy, change.attacked.accuracy, change.accuracy_loss
        if clean is None or attacked is None or loss is None:
            continue
        start = (
            f"“{change.arm}” scored {percent_interval(clean)} on clean {change.data} and"
            f" {percent_interval(attacked)} under {change.attack}{_on_shared(change, summary)}"
        )
        match direction(loss):
            case "more":
                yield f"{start}: the attack took {points(loss)}."
            case "less":
                yield f"{start}: it gained {points(negate(loss))}, which points to an attack that does not work."
            case _:
                yield f"{start}: {_unsettled(loss)}, so no loss is shown."


def _loss_contrast(contrast: Contrast) -> str:
    than = f"under {contrast.attack} on {contrast.data} than “{contrast.baseline}”{_on_fits(contrast)}"
    difference = contrast.difference  # loss of the arm minus loss of the baseline
    match direction(difference):
        case "more":
            return f"“{contrast.arm}” lost {points(difference)} more {than}."
        case "less":
            return f"“{contrast.arm}” lost {points(negate(difference))} less {than}."
        case _:
            pair = f"“{contrast.arm}” or “{contrast.baseline}” loses more"
            where = f"under {contrast.attack} on {contrast.data}{_on_fits(contrast)}"
            return f"Whether {pair} {where} is not settled: {_unsettled(difference)}."


def _clean_contrast(contrast: Contrast) -> str:
    difference = contrast.difference  # accuracy of the arm minus that of the baseline
    start = f"On clean {contrast.data}{_on_fits(contrast)}, the accuracy of “{contrast.arm}” is"
    match direction(difference):
        case "more":
            return f"{start} {points(difference)} higher than that of “{contrast.baseline}”."
        case "less":
            return f"{start} {points(negate(difference))} lower than that of “{contrast.baseline}”."
        case _:
            other = f"{start} not shown to differ from that of “{contrast.baseline}”"
            return f"{other}: {_unsettled(difference)}{_bound(difference)}."


def _abstention(summary: Summary) -> Iterator[str]:
    for change in summary.changes:
        rise = change.abstention_rise
        before, after = percent(change.clean.abstention.value), percent(change.attacked.abstention.value)
        start = f"Under {change.attack} on {change.data}, “{change.arm}” abstained on"
        match direction(rise):
            case "more":
                text = f"{start} {after} instead of {before}, {points(rise)} more"
            case "less":
                text = f"{start} {after} instead of {before}, {points(negate(rise))} less"
            case _:
                text = f"{start} {after}, and on {before} before: {_unsettled(rise)}"
        clean, attacked = change.clean.selective_accuracy, change.attacked.selective_accuracy
        if clean is not None and attacked is not None:
            text += (
                f"; what it did answer scored {percent_interval(clean)} clean and {percent_interval(attacked)} attacked"
            )
        yield f"{text}."


def _elsewhere(summary: Summary) -> Iterator[str]:
    """Each arm on all sets that were not attacked, beside the one in domain."""
    names = {row.data for row in summary.rows}
    for arm in summary.arms:
        rows = [row for row in summary.rows_of(arm) if row.attack is None and not is_control(row.data, names)]
        home, away = [row for row in rows if row.data == summary.home], [r for r in rows if r.data != summary.home]
        if not away:
            continue
        sets = [row.set for row in away]
        parts = [
            _range("accuracy", [row.rates.accuracy for row in away], sets),
            _range("abstention", [row.rates.abstention for row in away], sets),
        ]
        had = " and ".join(part for part in parts if part)
        where = "On sets" if summary.home is None else f"On sets other than {summary.home}"
        yield f"{where} that were not attacked, “{arm}” had {had}{_at_home(home)}."


def _at_home(rows: list[Row]) -> str:
    if not rows:
        return ""
    accuracy = "" if rows[0].rates.accuracy is None else f"{percent_interval(rows[0].rates.accuracy)} accuracy and "
    return f"; on {rows[0].data} it had {accuracy}{percent_interval(rows[0].rates.abstention)} abstention"


def _range(what: str, values: list[Interval | None], names: list[str]) -> str:
    known = [(value, name) for value, name in zip(values, names, strict=True) if value is not None]
    if not known:
        return ""
    low, high = min(known, key=lambda pair: pair[0].value), max(known, key=lambda pair: pair[0].value)
    if len(known) == 1:
        return f"{percent_interval(low[0])} {what} ({low[1]})"
    return f"{what} from {percent_interval(low[0])} ({low[1]}) to {percent_interval(high[0])} ({high[1]})"


def _on_shared(change: Change, summary: Summary) -> str:
    """The number of questions, where the attack was run on fewer than the clean set has."""
    whole = [row.n for row in summary.rows_of(change.arm) if row.set == change.data]
    return "" if whole == [change.n] else f" (on the {change.n:,} questions that both have)"


def _on_fits(contrast: Contrast) -> str:
    """The number of fits, where one of two arms has more than are compared."""
    if contrast.fits is None:
        return ""
    return f" (on the {contrast.fits} fits that both have)" if contrast.fits > 1 else " (on the one fit that both have)"


def _unsettled(difference: Interval) -> str:
    if direction(difference) == "unknown":
        return f"a difference of {_signed(difference.value)} points, for which no interval can be given"
    if difference.low == difference.high == 0:
        return "no difference in any resample"
    return f"a difference of {points(difference)}, an interval that includes zero"


def _bound(difference: Interval) -> str:
    """What an unsettled cost is still bounded by: “not shown to differ” must not be read as “equal”."""
    if direction(difference) == "unknown" or difference.low >= 0:
        return ""
    return f"; a cost of up to {_signed(-difference.low)} points is compatible with these data"


def _signed(value: float, scale: float = 100, digits: int = 1) -> str:
    """A number with a true minus sign, and no minus zero; in percentage points by default.

    >>> _signed(-0.0123), _signed(-0.0001)
    ('−1.2', '0.0')
    """
    return f"{round(scale * value, digits) + 0.0:.{digits}f}".replace("-", "−")
