"""Pages: one HTML file each, with the package's style inside, that fetches nothing and runs nothing."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lit_vlr import __version__


def render(template: str, **values: Any) -> str:  # noqa: ANN401 - whatever the template asks for
    """A page.

    Args:
        template: a file of this package.
        values: what it names, beside ``style`` and ``version``.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = files("lit_vlr.report")
    style = Markup(folder.joinpath("style.css").read_text(encoding="utf-8"))
    page = environment.from_string(folder.joinpath(template).read_text(encoding="utf-8"))
    return page.render(style=style, version=__version__, **values)


def write_page(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    # Generated text may hold lone surrogates, which UTF-8 has no bytes for.
    part.write_text(text, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")
    part.replace(path)
