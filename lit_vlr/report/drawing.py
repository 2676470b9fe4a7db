"""A finished figure in the three forms that it is needed in: an element of a page, an SVG file, a PNG file.

matplotlib's object interface is used without pyplot, so that no global figure or backend is touched. Equal figures give
equal bytes in all forms.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

SERIES = ("#0072b2", "#d55e00", "#007a5a", "#a8447f", "#8a6d00", "#5b5b5b")
"""Okabe and Ito's colour-blind safe hues, the light ones darkened for a white page; a dark page redefines them."""
INK, MUTED, GRID = "#1c2330", "#5a6474", "#d9dee6"
DPI = 144
"""Of PNG files."""
_THEME = {color: f"--series-{i}" for i, color in enumerate(SERIES, start=1)} | {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a folder's name is a dollar
    "font.size": 10.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


@contextmanager
def style(name: str) -> Iterator[None]:
    """The look of every figure; a name of its own keeps the ids inside an SVG apart from those of other figures."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        yield


@dataclass(frozen=True)
class Drawing:
    """A figure, what it is called, and what it says to somebody who cannot see it.

    Attributes:
        name: unique within a report, of letters, digits, ``-`` and ``_``: names files and prefixes ids.
        alt: what a reader who cannot see the figure is told.
        figure: drawn under `style`.
    """

    name: str
    alt: str
    figure: Figure

    def __post_init__(self) -> None:
        # Laid out once: each save would start from where the last one has left the axes, and move them a little.
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def png(self) -> bytes:
        """An 8-bit PNG on white."""
        return self._saved("png", dpi=DPI, metadata={"Software": None})  # it would name matplotlib's version

    def svg(self) -> bytes:
        """A file that stands for itself, on white; text stays text."""
        return self._saved("svg", metadata={**_NO_METADATA, "Title": self.alt})

    def element(self) -> Markup:
        """An element for an HTML page: no XML head, no addresses, the page's font, and colours of its theme."""
        svg = self._saved("svg", transparent=True, metadata=_NO_METADATA).decode()
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        # HTML parsers know these name spaces; written out they would be the page's only addresses.
        svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg)
        # matplotlib numbers from `figure_1` in every figure, but an id is the page's.
        svg = re.sub(r'(\sid="|url\(#|xlink:href="#)', rf"\g<1>{self.name}-", svg)
        # Any other family would be narrower or wider than the one that was laid out, but all of them fit.
        svg = re.sub(r"font-family:[^;\"]*;?", "", svg)
        svg = re.sub(r"(font: [\d.]+px)[^;\"]*", r"\1 system-ui, sans-serif", svg)
        for color, variable in _THEME.items():
            svg = svg.replace(color, f"var({variable}, {color})")
        size = re.search(r'<svg[^>]*?viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', svg)
        assert size is not None  # matplotlib always writes one
        head = f'<svg class="plot" role="img" aria-label="{escape(self.alt)}" viewBox="0 0 {size[1]} {size[2]}"'
        return Markup(re.sub(r"^<svg[^>]*?(?=>)", lambda _: head, svg).strip())

    def _saved(self, form: str, **options: Any) -> bytes:  # noqa: ANN401 - of savefig
        buffer = io.BytesIO()
        with style(self.name):
            self.figure.savefig(buffer, format=form, **options)
        return buffer.getvalue()


_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # the date would make two builds differ
