"""Infinite numbers in JSON, which has none: as the strings ``inf`` and ``-inf``."""

from __future__ import annotations

import math

_VALUES = {"inf": math.inf, "-inf": -math.inf}


def to_json(value: float) -> float | str:
    """A number as JSON can hold it; other readers refuse the `Infinity` that Python would write.

    >>> to_json(0.5), to_json(float("-inf"))
    (0.5, '-inf')
    """
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def from_json(value: object) -> float:
    """The number again.

    Raises:
        ValueError: if it is neither a number nor ``inf`` nor ``-inf``.

    >>> from_json("inf"), from_json(1)
    (inf, 1.0)
    """
    if isinstance(value, str) and value in _VALUES:
        return _VALUES[value]
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"Expected a number, 'inf' or '-inf' but got {value!r}")
    return float(value)
