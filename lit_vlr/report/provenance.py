"""How the predictions were made: what the manifests of all sets agree on, what differs, and what the files hash to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_vlr.report import trust, words
from lit_vlr.report.runs import Run


def manifests(runs: Sequence[Run]) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """What all manifests agree on, and a table of what they do not."""
    cells = [
        (run.name, one.name, _flat({k: v for k, v in one.manifest.items() if k not in trust.KEYS}))
        for run in runs
        for one in run.sets.values()
    ]
    keys = list(dict.fromkeys(key for _, _, manifest in cells for key in manifest if key not in ("set", "n")))
    varying = [key for key in keys if len({manifest.get(key) for _, _, manifest in cells}) > 1]
    shared = [(key, cells[0][2][key]) for key in keys if key not in varying]
    rows = [
        {"arm": arm, "set": name, "cells": [manifest.get(key, "not recorded") for key in varying]}
        for arm, name, manifest in cells
    ]
    return shared, {"columns": varying, "rows": rows}


def files(runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    """Arm, file and SHA-256 of everything that was read."""
    return [(run.name, file, found) for run in runs for file, found in run.files.items()]


def _flat(manifest: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested entries as ``outer.inner``, except the attack, which is one description."""
    flat: dict[str, str] = {}
    for key, value in manifest.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and key != "attack":
            flat |= _flat(value, f"{name}.")
        elif isinstance(value, Mapping):
            flat[name] = ", ".join(f"{k}: {_named(k, v)}" for k, v in value.items()) or "–"
        else:
            flat[name] = _named(key, value)
    return flat


def _named(key: str, value: Any) -> str:  # noqa: ANN401 - straight from JSON
    return words.pixel_levels(value) if key == "eps" and isinstance(value, float) else _plain(value)


def _plain(value: Any) -> str:  # noqa: ANN401 - straight from JSON
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
