"""The kinds of figures: risk against coverage, abstention and risk against ε, bars of every set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lit_vlr.functional import Interval
from lit_vlr.report.drawing import INK, SERIES, Drawing, style

# Colour is never the only difference: lines differ in dashes and markers, bars in hatching. Five of each against six
# colours, so that the seventh series is not the first one again.
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (8, 3)))
_MARKERS = ("o", "s", "D", "^", "v")
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_MAX_POINTS = 300
_WIDTH = 4.6


@dataclass(frozen=True)
class Curve:
    """One risk-coverage curve.

    Attributes:
        label: its name in the legend.
        coverage: share of questions answered, ascending, in [0, 1].
        risk: 1 - accuracy among the answered, in [0, 1].
        point: coverage and risk at the threshold in force; None where nothing was answered.
    """

    label: str
    coverage: Sequence[float]
    risk: Sequence[float]
    point: tuple[float, float] | None


def risk_coverage(curves: Sequence[Curve], *, name: str, alt: str, max_risk: float) -> Drawing:
    """Risk against coverage, one line a curve, with a marker at the threshold in force.

    Args:
        curves: what to draw, in legend order.
        name: of the drawing.
        alt: what a reader who cannot see the figure is told.
        max_risk: end of the risk axis, so that panels side by side can be compared.
    """
    with style(name):
        figure, axes = _panel(3.7)
        for index, curve in enumerate(curves):
            color, dashes, marker = _look(index)
            keep = _thin(len(curve.coverage))
            x, y = ([100 * values[i] for i in keep] for values in (curve.coverage, curve.risk))
            axes.plot(x, y, color=color, linestyle=dashes, linewidth=1.8, label=curve.label)
            if curve.point is not None:
                at = [100 * curve.point[0]], [100 * curve.point[1]]
                axes.plot(*at, color=color, marker=marker, markersize=7, markeredgecolor=INK, markeredgewidth=0.8)
        axes.set(xlim=(0, 101), ylim=(0, 100 * max_risk))
        axes.set_xlabel("Coverage (% of questions answered)")
        axes.set_ylabel("Risk (% wrong among answered)")
        axes.grid(True)
        _legend(figure, [curve.label for curve in curves])
        return Drawing(name, alt, figure)


def against_eps(
    values: Mapping[str, Mapping[float, Interval]], *, name: str, alt: str, label: str, top: float
) -> Drawing:
    """A share against ε of one attack, one line an arm, with 95% intervals.

    Args:
        values: by arm, then by ε in [0, 1] pixel units; 0 is the clean set.
        name: of the drawing.
        alt: what a reader who cannot see the figure is told.
        label: the quantity, with its unit.
        top: end of its axis, in [0, 1].
    """
    with style(name):
        figure, axes = _panel(3.5)
        for index, (arm, by_eps) in enumerate(values.items()):
            color, dashes, marker = _look(index)
            eps = sorted(by_eps)
            line = axes.errorbar(
                [255 * one for one in eps],
                [100 * by_eps[one].value for one in eps],
                yerr=_whiskers([by_eps[one] for one in eps]),
                color=color,
                marker=marker,
                markersize=5.5,
                linewidth=1.8,
                elinewidth=1.0,
                capsize=2.5,
                label=arm,
            )
            line[0].set_linestyle(dashes)  # given above, the whiskers would be dashed too
        ticks = sorted({eps for by_eps in values.values() for eps in by_eps})
        axes.set_xticks([255 * eps for eps in ticks], labels=[f"{255 * eps:.3g}" for eps in ticks])
        axes.set(ylim=(0, 100 * top))
        axes.set_xlabel("ε (in 1/255; 0: clean pictures)")
        axes.set_ylabel(label)
        axes.grid(True)
        _legend(figure, list(values))
        return Drawing(name, alt, figure)


def bars(
    values: Mapping[str, Mapping[str, Interval]], *, sets: Sequence[str], name: str, alt: str, label: str
) -> Drawing:
    """Horizontal bars, a group a set and a bar an arm, with their 95% intervals.

    Args:
        values: by arm, then by set; a set that an arm lacks leaves a gap.
        sets: the groups, from top to bottom.
        name: of the drawing.
        alt: what a reader who cannot see the figure is told.
        label: the quantity, with its unit.
    """
    thickness = 0.8 / len(values)
    with style(name):
        figure, axes = _panel(0.75 + len(sets) * max(0.36, 0.2 * len(values)))
        for index, (arm, by_set) in enumerate(values.items()):
            color, hatch = SERIES[index % len(SERIES)], _HATCHES[index % len(_HATCHES)]
            shown = [(row, by_set[group]) for row, group in enumerate(sets) if group in by_set]
            at = [row - 0.4 + thickness * (index + 0.5) for row, _ in shown]
            _bars(axes, at, [value for _, value in shown], thickness, color=color, hatch=hatch, label=arm)
        axes.set_yticks(range(len(sets)), labels=list(sets))
        axes.set(xlim=(0, 100), ylim=(len(sets) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(PercentFormatter(decimals=0))
        axes.set_xlabel(label)
        axes.set_axisbelow(True)
        axes.grid(True, axis="x")
        _legend(figure, list(values))
        return Drawing(name, alt, figure)


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _look(index: int) -> tuple[Any, ...]:
    """Colour, dashes and marker of a line."""
    return tuple(cycle[index % len(cycle)] for cycle in (SERIES, _DASHES, _MARKERS))


def _legend(figure: Figure, labels: Sequence[str]) -> None:
    """Above the axes, in as many columns as fit: matplotlib lets a legend that is too wide run out of the figure."""
    if not any(labels):
        return  # one series that has no name: what it is stands elsewhere
    columns = 66 // (max(map(len, labels)) + 8)  # 66 characters of this size fit, 8 of them go to line and gap
    figure.legend(loc="outside upper left", ncols=max(1, min(len(labels), columns)), borderaxespad=0.2)


def _bars(axes: Axes, at: list[float], values: list[Interval], thickness: float, **look: Any) -> None:  # noqa: ANN401
    widths = [100 * value.value for value in values]
    axes.barh(at, widths, height=0.88 * thickness, edgecolor="white", linewidth=0, **look)
    axes.errorbar(widths, at, xerr=_whiskers(values), fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)


def _whiskers(values: Sequence[Interval]) -> list[list[float]]:
    # The percentile interval need not hold the estimate, and an error bar may not be negative.
    low = [max(0.0, 100 * (value.value - value.low)) for value in values]
    high = [max(0.0, 100 * (value.high - value.value)) for value in values]
    return [low, high]


def _thin(n: int) -> list[int]:
    """Indices of at most about `_MAX_POINTS` points, every one of the first (and most jagged) fifty among them."""
    if n <= _MAX_POINTS:
        return list(range(n))
    head = 50
    step = (n - 1 - head) / (_MAX_POINTS - head)
    return [*range(head), *(head + round(step * i) for i in range(_MAX_POINTS - head + 1))]
