"""Pages: one HTML file each, with the package's style inside, that fetches nothing and runs no script but our own."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lit_vlr import __version__


def render(template: str, *, script: str | None = None, **values: Any) -> str:  # noqa: ANN401 - what the template asks
    """A page.

    Args:
        template: a file of this package.
        script: a file of this package, the only script that the page's policy lets run.
        values: what the template names, beside ``style``, ``script``, ``policy`` and ``version``.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    code = None if script is None else _text(script)
    page = environment.from_string(_text(template))
    inside = {"style": Markup(_text("style.css")), "script": None if code is None else Markup(code)}
    return page.render(**inside, policy=_policy(code), version=__version__, **values)


def _policy(code: str | None) -> Markup:
    """Whatever gets into the page, the browser fetches nothing and runs nothing but this."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if code is None:
        return Markup(policy)
    return Markup(f"{policy}; script-src 'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'")


def _text(name: str) -> str:
    return files("lit_vlr.report").joinpath(name).read_text(encoding="utf-8")


def write_page(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    # Generated text may hold lone surrogates, which UTF-8 has no bytes for.
    write_bytes(path, text.encode("utf-8", errors="xmlcharrefreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
