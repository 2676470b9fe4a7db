"""Every stage's files parsed against the real signatures, before the first stage takes an hour."""

from __future__ import annotations

import warnings

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.lightning_cli import VLRCLI
from lit_vlr.study.peers import runs_of
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.settings import Peers, Verb
from lit_vlr.study.stages import missing

_PEERS = {
    "labels": "an arm with `peers` has the objective TrainSelector: add configs/objective/selector.yaml",
    "folds": "peers need a data module with `folds` and `fold`, such as BenchmarkDataModule",
}
"""What to do about arguments that the study gives peers, and what learns from them."""


class _ParseOnly(VLRCLI):
    """Stops after parsing."""

    def _set_seed(self) -> None:
        pass

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def check_stages_parse(plan: Plan, again: Verb | None = None) -> None:
    """Refuse a study whose last arm would fail by a mistyped key, after all others were fitted.

    Each combination of files is parsed once, of stages that are still to be run.

    Args:
        plan: the study.
        again: a stage that is to be run again, and those after it.

    Raises:
        UserError: naming the stage, and what does not parse.
    """
    parsed: set[tuple[Verb, tuple[str, ...], type[Cell], Peers]] = set()
    for cell in runs_of(plan):
        repeated = cell.verbs[cell.verbs.index(again) :] if again in cell.verbs else ()
        for verb in dict.fromkeys([*missing(cell), *repeated]):
            # Peers, and what learns from them, get arguments that others do not.
            kind = verb, cell.files(verb), type(cell), cell.settings.peers
            if kind not in parsed:
                parsed.add(kind)
                _check_parses(cell, verb)


def _check_parses(cell: Cell, verb: Verb) -> None:
    # What earlier stages make is not there yet.
    later = ("--ckpt_path=", "--threshold=")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
            _ParseOnly.run([given for given in cell.arguments(verb) if not given.startswith(later)])
    except ConfigError as error:
        said = next((f"; {more}" for key, more in _PEERS.items() if f"'{key}' is not accepted" in str(error)), "")
        raise UserError(f"Expected {verb} of {cell.name} to parse but {error}{said}") from error
