"""A study read from YAML and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study.plan import Plan
from lit_vlr.study.settings import Verb

_WHAT = "Run what is missing of a study: arms x seeds, tested on every set under every attack; then table and report."


class Switches(NamedTuple):
    """What the verb is asked beside the plan.

    Attributes:
        dry_run: say what would be run.
        keep_going: after a stage that fails, go on with other cells.
        again: the stage to forget and run again.
        jobs: cells to run at a time.
    """

    dry_run: bool
    keep_going: bool
    again: Verb | None
    jobs: int


def read_plan(arguments: Sequence[str]) -> tuple[Plan, Switches]:
    """A plan from the command line, and the verb's own switches.

    Args:
        arguments: ``--config FILE`` and whatever is to differ from it.

    Raises:
        ConfigError: for a file or an argument that does not parse.
        UserError: for a plan that cannot be run.
    """
    parser = _Parser(prog="lit-vlr study", description=_WHAT)
    parser.add_argument("--config", action="config", help="the study, such as configs/study/demo.yaml")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run and how long it would take")
    parser.add_argument("--keep-going", action="store_true", help="after a stage that fails, go on with other cells")
    said = (
        "forget this stage of every cell, and later ones, and run them with config files as they are now; to go on "
        "after an interruption, leave it out"
    )
    parser.add_argument("--again", type=Literal["validate", "test"] | None, default=None, help=said)
    parser.add_argument("--jobs", type=PositiveInt, default=1, help="cells to run at a time, sharing the cores")
    parser.add_class_arguments(Plan, None)
    given = parser.parse_args(list(arguments))
    for name, arm in given.arms.items():
        if not isinstance(arm.peers, Mapping | Namespace):  # jsonargparse lets it pass, and trips over it
            raise UserError(
                f"Expected `arms.{name}.peers` such as {{folds: 5, configs: [FILE]}} but got {arm.peers!r}; leave it "
                "out where there are none"
            )
    made = parser.instantiate(given)
    plan = Plan(**{name: made[name] for name in Plan.__dataclass_fields__})
    if given.dry_run and given.again:
        raise UserError("Expected --dry-run without --again, which forgets results; give one of them")
    return plan, Switches(given.dry_run, given.keep_going, given.again, given.jobs)


class _Parser(ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str, ex: Exception | None = None) -> Any:  # noqa: ANN401 - as its parent
        """Raise what `lit_vlr.cli.main` prints."""
        said = " ".join(message.split())
        raise ConfigError(f"the study does not parse: {said[:600]}; `lit-vlr study --help` shows every key") from ex
