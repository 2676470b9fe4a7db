"""`lit-vlr peers`: learn a selector from peers, in one command that goes on where it was killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lit_vlr.study.plan import Plan
from lit_vlr.study.reading import Switches
from lit_vlr.study.settings import Arm, Peers, Promise
from lit_vlr.verbs.parser import Parser
from lit_vlr.verbs.study import run_plan

ARM = "learning_from_peers"
_WHAT = """Train as many peers as there are folds, each without one; let each answer the fold that it never saw; train a
model on everything and its selector on those answers; then validate, choose a threshold, test and report. The same
command goes on where it was killed. It is a study of one arm: see docs/study.md."""
_MORE = "Further arguments, such as --trainer.max_steps=100, go to every stage."


def main(args: list[str]) -> None:
    """Run what is missing.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: for arguments that are missing or of no use, and as `lit_vlr.verbs.study.main`.
    """
    plan, dry_run = read_arguments(args)
    run_plan(plan, Switches(dry_run, keep_going=False, again=None, jobs=1))


def read_arguments(args: Sequence[str]) -> tuple[Plan, bool]:
    """The study of one arm that the arguments are, and whether it is only to be priced."""
    given, overrides = _parser().parse_known_args(args)
    arm = Arm(tuple(given.selector), tuple(given.training), peers=Peers(given.folds))
    plan = Plan(
        given.root,
        {ARM: arm},
        common=tuple(given.config),
        attacks=tuple(given.attacks),
        seeds=(given.seed,),
        overrides=tuple(overrides),
        threshold=Promise(max_risk=given.max_risk),
    )
    return plan, given.dry_run


def _parser() -> Parser:
    parser = Parser(prog="lit-vlr peers", description=_WHAT, epilog=_MORE, allow_abbrev=False)

    def files(name: str, said: str, required: bool = False) -> None:
        parser.add_argument(name, nargs="+", action="extend", default=[], required=required, metavar="FILE", help=said)

    files("--config", "base, model, data, and the objective of peers and model", required=True)
    files("--selector", "objective TrainSelector and confidence Selector, after --config, for the model", required=True)
    files("--training", "adversarial training, of peers and model")
    files("--attacks", "attacks that the model is tested under")
    parser.add_argument("--folds", type=int, required=True, metavar="K", help="peers, and parts of the training set")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="where everything goes")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data order (default: 0)")
    said = "that the threshold allows on the calibration split (default: 0.1)"
    parser.add_argument("--max-risk", type=float, default=0.1, metavar="R", help=said)
    said = "say what would be run and how long it would take"
    parser.add_argument("--dry-run", action="store_true", help=said)
    return parser
