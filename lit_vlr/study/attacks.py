"""Attacks of a test must have names of their own: each writes a file that is called by its name."""

from __future__ import annotations

from typing import Any

from lit_vlr.errors import UserError
from lit_vlr.study.identity import contents
from lit_vlr.study.plan import Cell

_RECORDER = "RecordAttackedPredictions"
_DEFAULT = "linf_pgd"  # of its argument `name`


def check_attack_names(cell: Cell) -> None:
    """Refuse a test with two attacks of one name; the usual way to it is a file of adversarial training.

    Such files bring the attack along that they are tested with, which the study's `attacks` give again.

    Raises:
        UserError: naming both files.
    """
    given_by: dict[str, str] = {}
    for file in cell.files("test"):
        for name in _attacks(contents(file)):
            if name in given_by:
                raise UserError(
                    f"Expected one attack {name!r} in the test of {cell.arm!r} but {given_by[name]} and {file} both "
                    "have one; files of adversarial training belong to `training`, which the fit alone gets"
                )
            given_by[name] = file


def _attacks(content: dict[str, Any]) -> list[str]:
    trainer = content.get("trainer") or {}
    added = [trainer.get(key) for key in ("callbacks", "callbacks+")] if isinstance(trainer, dict) else []
    callbacks = [one for some in added if isinstance(some, list) for one in some if isinstance(one, dict)]
    recorders = [one for one in callbacks if str(one.get("class_path", "")).endswith(_RECORDER)]
    return [str((one.get("init_args") or {}).get("name", _DEFAULT)) for one in recorders]
