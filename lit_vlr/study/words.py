"""The study's answer in sentences, never stronger than the intervals of its paired differences allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from lit_vlr.functional import Interval, PairedDifference, minimum_without_error
from lit_vlr.report.runs import split_name
from lit_vlr.report.words import brackets, direction, percent, percent_interval, points
from lit_vlr.study.table import Comparison, Row, Table

_DOUBT = 0.05
"""Spotless answers on fewer pictures than leave this much to a risk beyond the promise show nothing: .9^28 is more."""


def answer(table: Table) -> list[str]:
    """To what extent the other arms are more robust than the baseline, at what price, and whether promises are kept.

    The attack is the one under which the baseline's AURC is highest, and the arm the one with the lowest AURC under it.
    Where there are several to choose from, the choice is said: made on the very pictures, it flatters the arm.
    """
    base = table.baseline
    attacked = _attacked_at_home(table)
    if table.home is None:
        return ["Nothing tells which of these sets is in domain, so nothing can be said about robustness."]
    if table.row(base, table.home) is None or not attacked:
        return [f"“{base}” was not tested clean and under attack, so nothing can be said about robustness."]
    worst = max(attacked, key=lambda row: row.metrics["aurc"].value)
    rivals = [one for one in table.arms if one.set == worst.set]
    if not rivals:
        return [f"No other arm was tested under {_attack(worst.set)}, so “{base}” is compared with nothing."]
    best = min(rivals, key=lambda one: one.differences["aurc"].value)
    return [
        _robustness(table, worst, best, rivals, len(attacked)),
        *_price(table, best.arm),
        *_risk(table, best.arm),
        *_promise(table, best.arm),
    ]


def _robustness(table: Table, worst: Row, best: Comparison, rivals: Sequence[Comparison], attacks: int) -> str:
    own = table.row(best.arm, best.set)
    assert own is not None  # it is compared, so it has a row
    start = (
        f"Under {_attack(worst.set)}, AURC is {_area(own.metrics['aurc'])} for “{best.arm}” and "
        f"{_area(worst.metrics['aurc'])} for “{table.baseline}”"
    )
    picked = _picked(attacks, "AURC", table.baseline, best.arm)
    if len(rivals) > 1:
        picked += f"; “{best.arm}” is the best of {len(rivals)} arms, picked on these very pictures, which flatters it"
    match direction(_interval(best.differences["aurc"])):
        case "less":
            return (
                f"{start}: {best.ratios['aurc'].value:.2f} times as much {brackets(best.ratios['aurc'], 1, 2)}{picked}."
            )
        case "more":
            # The best by its value: the interval of another one may still include that it is more robust.
            settled = all(direction(_interval(one.differences["aurc"])) == "more" for one in rivals)
            return f"{start}, so that {'no arm was' if settled else 'none was shown to be'} more robust{picked}."
        case _:
            found = _interval(best.differences["aurc"])
            return f"{start}, a difference of {_area(found)} that these pictures do not settle{picked}."


def _price(table: Table, arm: str) -> list[str]:
    found = _comparison(table, arm, str(table.home))
    if found is None:
        return []
    difference = _interval(found.differences["accuracy"])
    start = f"On clean pictures, accuracy of “{arm}” is"
    match direction(difference):
        case "more":
            return [f"{start} {points(difference)} higher than that of “{table.baseline}”."]
        case "less":
            lower = Interval(-difference.value, -difference.high, -difference.low)
            return [f"{start} {points(lower)} lower than that of “{table.baseline}”."]
        case _:
            return [f"{start} not shown to differ from that of “{table.baseline}” ({points(difference)})."]


def _risk(table: Table, arm: str) -> list[str]:
    """Risk among the answered at the frozen threshold, under the attack under which the baseline's is highest."""
    known = [row for row in _attacked_at_home(table) if _answers(row)]
    if not known:
        return [f"Under attack, “{table.baseline}” answers nothing at its threshold, so its risk is not defined."]
    worst = max(known, key=lambda row: row.metrics["risk"].value)
    own, found = table.row(arm, worst.set), _comparison(table, arm, worst.set)
    if own is None or found is None:
        return []
    said = f"Under {_attack(worst.set)}, at frozen thresholds, “{table.baseline}” answers {_answered(worst)}"
    picked = _picked(len(known), "risk", table.baseline, arm)
    if not _answers(own):
        return [f"{said}; “{arm}” answers nothing{picked}."]
    settled = direction(_interval(found.differences["risk"]))
    verdict = {"less": "lower", "more": "higher"}.get(settled)
    tail = f"its risk is {verdict}" if verdict else "whose risk is lower is not settled"
    return [f"{said}, and “{arm}” {_answered(own)}: {tail}{picked}."]


def _promise(table: Table, arm: str) -> list[str]:
    """Whether the risk that thresholds were chosen for was kept, by the arm, in domain, out of it, and under attack."""
    rows = [row for row in table.rows if row.arm == arm]
    verdicts: dict[str, list[str]] = {"less": [], "more": [], "open": [], "unknown": []}
    for row in rows:
        verdicts[_kept(row, table.max_risk)].append(row.set)
    words = {"less": "kept", "more": "broken", "open": "not settled", "unknown": "without enough answers to tell"}
    parts = [f"{words[key]} on {', '.join(sets)}" for key, sets in verdicts.items() if sets]
    promised = f"The risk of at most {percent(table.max_risk)} that the threshold of “{arm}” was chosen for"
    return [f"{promised} is {'; '.join(parts)}."]


def _kept(row: Row, max_risk: float) -> Literal["more", "less", "open", "unknown"]:
    """The direction of the violation; unknown where so few pictures cannot show it, whatever their resamples say.

    Resamples of a few answers that happen to be all alike, or nearly so, have no width, or hardly any.
    """
    violation = row.metrics["violation"]
    said = direction(violation)
    least = minimum_without_error(max_risk, _DOUBT) if max_risk else 0  # of no risk at all one mistake is too much
    few = round(row.images * row.metrics["coverage"].value, 6) < least
    return "unknown" if few and (said == "less" or violation.low == violation.high) else said


def _picked(attacks: int, metric: str, baseline: str, arm: str) -> str:
    """How the attack was chosen: what looks worst for the baseline does so partly by chance."""
    if attacks == 1:
        return ""
    how = f"of {attacks} attacks the one with the highest {metric} of “{baseline}”"
    return f"; {how} was picked on these very pictures, which flatters “{arm}”"


def _answers(row: Row) -> bool:
    """Whether it answers anything: of no answer there is no risk."""
    return not math.isnan(row.metrics["risk"].value)


def _answered(row: Row) -> str:
    return f"{percent(row.metrics['coverage'].value)} with a risk of {percent_interval(row.metrics['risk'])}"


def _comparison(table: Table, arm: str, name: str) -> Comparison | None:
    return next((one for one in table.arms if (one.arm, one.set) == (arm, name)), None)


def _attacked_at_home(table: Table) -> list[Row]:
    """The baseline's rows on the set in domain under attack."""
    home = [row for row in table.rows if row.arm == table.baseline and split_name(row.set)[0] == table.home]
    return [row for row in home if split_name(row.set)[1] is not None]


def _attack(name: str) -> str:
    return f"{split_name(name)[1]} on {split_name(name)[0]}"


def _area(interval: Interval) -> str:
    return f"{interval.value:.3f} {brackets(interval, 1, 3)}".replace("-", "−")


def _interval(found: PairedDifference) -> Interval:
    return Interval(*found[:3])
