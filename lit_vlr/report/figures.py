"""Figures as SVG strings to be put into the page: text stays text, colours follow the page's theme.

matplotlib's object interface is used without pyplot, so that no global figure or backend is touched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lit_vlr.functional import Interval

SERIES = ("#0072b2", "#d55e00", "#007a5a", "#a8447f", "#8a6d00", "#5b5b5b")
"""Okabe and Ito's colour-blind safe hues, the light ones darkened for a white page; a dark page redefines them."""
_INK, _MUTED, _GRID = "#1c2330", "#5a6474", "#d9dee6"
_THEME = {color: f"--series-{i}" for i, color in enumerate(SERIES, start=1)} | {
    _INK: "--ink",
    _MUTED: "--muted",
    _GRID: "--line",
}
# Colour is never the only difference: lines differ in dashes and markers, bars in hatching. Five of each against six
# colours, so that the seventh series is not the first one again.
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (8, 3)))
_MARKERS = ("o", "s", "D", "^", "v")
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_MAX_POINTS = 300
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a folder's name is a dollar
    "font.size": 10.0,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
}


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


def risk_coverage_svg(curves: Sequence[Curve], *, name: str, alt: str, max_risk: float) -> str:
    """Risk against coverage, one line a curve, with a marker at the threshold in force.

    Args:
        curves: what to draw, in legend order.
        name: unique within the page and without spaces; keeps the SVG's ids apart from those of other figures.
        alt: what a reader who cannot see the figure is told.
        max_risk: end of the risk axis, so that panels side by side can be compared.
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(4.6, 3.7), layout="constrained")
        axes = figure.add_subplot()
        for index, curve in enumerate(curves):
            color, dashes, marker = (cycle[index % len(cycle)] for cycle in (SERIES, _DASHES, _MARKERS))
            keep = _thin(len(curve.coverage))
            x, y = ([100 * values[i] for i in keep] for values in (curve.coverage, curve.risk))
            axes.plot(x, y, color=color, linestyle=dashes, linewidth=1.8, label=curve.label)
            if curve.point is not None:
                at = [100 * curve.point[0]], [100 * curve.point[1]]
                axes.plot(*at, color=color, marker=marker, markersize=7, markeredgecolor=_INK, markeredgewidth=0.8)
        axes.set(xlim=(0, 101), ylim=(0, 100 * max_risk))
        axes.set_xlabel("Coverage (% of questions answered)")
        axes.set_ylabel("Risk (% wrong among answered)")
        axes.grid(True)
        _legend(figure, [curve.label for curve in curves])
        return _svg(figure, name, alt)


def bars_svg(
    values: Mapping[str, Mapping[str, Interval]], *, sets: Sequence[str], name: str, alt: str, label: str
) -> str:
    """Horizontal bars, a group a set and a bar an arm, with their 95% intervals.

    Args:
        values: by arm, then by set; a set that an arm lacks leaves a gap.
        sets: the groups, from top to bottom.
        name: unique within the page and without spaces.
        alt: what a reader who cannot see the figure is told.
        label: the quantity, with its unit.
    """
    thickness = 0.8 / len(values)
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(4.6, 0.75 + len(sets) * max(0.36, 0.2 * len(values))), layout="constrained")
        axes = figure.add_subplot()
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
        return _svg(figure, name, alt)


def _legend(figure: Figure, labels: Sequence[str]) -> None:
    """Above the axes, in as many columns as fit: matplotlib lets a legend that is too wide run out of the figure."""
    columns = 66 // (max(map(len, labels)) + 8)  # 66 characters of this size fit, 8 of them go to line and gap
    figure.legend(loc="outside upper left", ncols=max(1, min(len(labels), columns)), borderaxespad=0.2)


def _bars(axes: Axes, at: list[float], values: list[Interval], thickness: float, **style: Any) -> None:  # noqa: ANN401
    widths = [100 * value.value for value in values]
    # The percentile interval need not hold the estimate, and an error bar may not be negative.
    low = [max(0.0, 100 * (value.value - value.low)) for value in values]
    high = [max(0.0, 100 * (value.high - value.value)) for value in values]
    axes.barh(at, widths, height=0.88 * thickness, edgecolor="white", linewidth=0, **style)
    axes.errorbar(widths, at, xerr=[low, high], fmt="none", ecolor=_INK, elinewidth=1.1, capsize=2.5)


def _thin(n: int) -> list[int]:
    """Indices of at most about `_MAX_POINTS` points, every one of the first (and most jagged) fifty among them."""
    if n <= _MAX_POINTS:
        return list(range(n))
    head = 50
    step = (n - 1 - head) / (_MAX_POINTS - head)
    return [*range(head), *(head + round(step * i) for i in range(_MAX_POINTS - head + 1))]


def _svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an element for an HTML page: no XML head, no addresses, the page's font and colours."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # the date would make two builds differ
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # HTML parsers know these name spaces; written out they would be the page's only addresses.
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg)
    # matplotlib numbers from `figure_1` in every figure, but an id is the page's.
    svg = re.sub(r'(\sid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
    # Any other family would be narrower or wider than the one that was laid out, but all of them fit.
    svg = re.sub(r"font-family:[^;\"]*;?", "", svg)
    svg = re.sub(r"(font: [\d.]+px)[^;\"]*", r"\1 system-ui, sans-serif", svg)
    for color, variable in _THEME.items():
        svg = svg.replace(color, f"var({variable}, {color})")
    size = re.search(r'<svg[^>]*?viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', svg)
    assert size is not None  # matplotlib always writes one
    head = f'<svg class="plot" role="img" aria-label="{escape(alt)}" viewBox="0 0 {size[1]} {size[2]}"'
    return re.sub(r"^<svg[^>]*?(?=>)", lambda _: head, svg).strip()
