"""What is refused of a plan as soon as it is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lit_vlr.errors import UserError
from lit_vlr.study.settings import Arm, Peers

_OURS = (
    "--config",
    "--trainer.default_root_dir",
    "--ckpt_path",
    "--threshold",
    "--seed_everything",
    "--data.order_seed",
    "--data.folds",
    "--data.fold",
)
"""Arguments that the study gives itself, as `_short` spells them."""
_GROUPS = ("--data", "--model", "--trainer", "--optimizer", "--lr_scheduler")
"""Arguments that hold many; each may be the name of a config file."""


def check_arm(name: str, arm: Arm, common: Sequence[str]) -> None:
    """Refuse an arm that cannot be run.

    Args:
        name: the arm's.
        arm: the arm.
        common: config files of every arm.

    Raises:
        UserError: naming the arm, and what is wrong.
    """
    if not re.fullmatch(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]*", name) or set(name) == {"."}:
        raise UserError(f"Expected arms named by letters, digits and _+.- but got {name!r}; it names a folder")
    if arm.training and not arm.fit:
        raise UserError(f"Expected no `training` of arm {name!r}, which is not fitted; set `fit` or drop it")
    if not (arm.configs or common):
        raise UserError(f"Expected config files for arm {name!r} but there are none; give `common` or `configs`")
    if arm.peers == Peers():
        return
    if not arm.fit:
        raise UserError(f"Expected no `peers` of arm {name!r}, which is not fitted; set `fit` or drop them")
    if arm.peers.folds < 2:
        raise UserError(
            f"Expected `arms.{name}.peers.folds` of at least 2 but got {arm.peers.folds}; a peer leaves one out and is "
            "trained on the others: 5 or 10 are usual"
        )
    if not (arm.peers.configs or common):
        raise UserError(
            f"Expected config files for the peers of arm {name!r} but there are none; give `common` or `peers.configs`"
        )
    check_overrides(arm.peers.overrides, f"arms.{name}.peers.overrides")


def check_overrides(overrides: Sequence[str], name: str) -> None:
    """Refuse arguments that are none, that the study gives itself, or that name config files.

    A cell is known by the contents of its config files; those of a file in an argument could change unseen.

    Args:
        overrides: the arguments.
        name: the key that they are of.

    Raises:
        UserError: naming one.
    """
    for given in overrides:
        key, _, value = given.partition("=")
        said = f"Expected `{name}` such as --trainer.max_steps=10 but got {given!r}"
        if not given.startswith("--") or _short(key) in _OURS:
            raise UserError(f"{said}; folders, seeds, folds, checkpoints and thresholds are the study's")
        if _short(key) in _GROUPS or value.endswith((".yaml", ".yml")):
            raise UserError(f"{said}; name config files, whose contents a cell remembers, in `common` or `configs`")


def _short(key: str) -> str:
    """An argument without the ``init_args`` that jsonargparse lets one leave out.

    >>> _short("--data.init_args.fold"), _short("--data.fold"), _short("--data.init_args")
    ('--data.fold', '--data.fold', '--data')
    """
    return ".".join(part for part in key.split(".") if part != "init_args")


def check_seeds(seeds: Sequence[int], name: str) -> None:
    """Refuse no seeds, seeds below 0 and seeds that come twice.

    Args:
        seeds: the seeds.
        name: the key that they are of.

    Raises:
        UserError: naming them.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(f"Expected `{name}` of at least 0, each once, but got {list(seeds)}; [0, 1, 2] say")
