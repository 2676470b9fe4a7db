"""Sets that one attack was run on at several ε, found by their manifests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_vlr.report.runs import Run, set_names

_RANGE = re.compile(r"over delta -([\d.e-]+)\.\.\1(?=,? for |$)")


@dataclass(frozen=True)
class Strengths:
    """One attack on one data set, at several ε.

    Attributes:
        data: the data set.
        attack: what the attack is, apart from ε.
        sets: the set's name for each arm and ε in [0, 1] pixel units; 0 is the clean set.
    """

    data: str
    attack: str
    sets: Mapping[str, Mapping[float, str]]

    @property
    def names(self) -> list[str]:
        """The attacks' names as the sets have them, weakest first."""
        by_eps = sorted({(eps, name) for of_arm in self.sets.values() for eps, name in of_arm.items() if eps})
        return list(dict.fromkeys(name.partition("+")[2] for _, name in by_eps))


def strengths(runs: Sequence[Run]) -> list[Strengths]:
    """Every attack that some arm was tested under at two ε or more."""
    found: dict[tuple[str, str], dict[str, dict[float, str]]] = {}
    for run in runs:
        for name in set_names([run]):
            one = run.sets[name]
            if (known := strength(one.manifest)) is not None and one.attack is not None:
                attack, eps = known
                by_eps = found.setdefault((one.data, attack), {}).setdefault(run.name, {})
                if one.data in run.sets:
                    by_eps.setdefault(0.0, one.data)
                by_eps.setdefault(eps, name)
    return [
        Strengths(data, attack, sets)
        for (data, attack), sets in found.items()
        if any(len({eps for eps in by_eps if eps}) > 1 for by_eps in sets.values())
    ]


def strength(manifest: Mapping[str, Any]) -> tuple[str, float] | None:
    """An L∞ attack apart from ε, and ε in [0, 1] pixel units; None for other attacks.

    >>> strength({"attack": "PGD {'steps': 10} over delta -0.01569..0.01569", "eps": 4 / 255})
    ("PGD {'steps': 10} over delta", 0.015686...)
    >>> strength({"attack": "PGD {'steps': 10} over delta -0.5..0.5, rotate -9..9"})
    """
    attack = manifest.get("attack")
    if not isinstance(attack, str) or (found := _RANGE.search(attack)) is None:
        return None
    eps = manifest.get("eps")
    # Predictions from before manifests had `eps` say it in words, with four digits.
    eps = float(eps) if isinstance(eps, int | float) else round(255 * float(found[1]), 2) / 255
    return f"{attack[: found.start()]}over delta{attack[found.end() :]}", eps
