"""`lit-vlr calibrate`: a threshold file from the predictions of a calibration split."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lit_vlr.calibration import KINDS, Calibrator
from lit_vlr.errors import UserError
from lit_vlr.functional import (
    ThresholdChoice,
    conformal_threshold,
    cost_threshold,
    coverage_threshold,
    empirical_threshold,
    learn_then_test_threshold,
    sgr_threshold,
)
from lit_vlr.predictions import manifest_if_any
from lit_vlr.scoring.answers import read_answers
from lit_vlr.threshold_file import write_threshold
from lit_vlr.verbs.parser import Parser, accuracy_of, add_answer_arguments, said_in_one_line

METHODS: dict[str, tuple[Callable[..., ThresholdChoice], str, tuple[str, ...]]] = {
    "ltt": (learn_then_test_threshold, "target_risk", ("delta", "starts")),
    "sgr": (sgr_threshold, "target_risk", ("delta",)),
    "crc": (conformal_threshold, "target_risk", ()),
    "empirical": (empirical_threshold, "target_risk", ()),
    "cost": (cost_threshold, "cost", ()),
    "coverage": (coverage_threshold, "coverage", ()),
}
"""Function, the argument that it must have, and those that it may have."""

_HELP = """methods:
  ltt        risk among the answered at most --target-risk with probability 1 - delta; soft accuracy (default)
  sgr        the same by binary search, for answers that are right or wrong
  crc        answered and wrong at most --target-risk of all questions, on average
  empirical  risk at most --target-risk on this very split; promises nothing elsewhere
  cost       best effective reliability at --cost a wrong answer
  coverage   answers at least --coverage of this split

calibrators, which say how right an answer of some confidence is, and move neither threshold nor order:
  temperature  one number, for confidences that are probabilities
  platt        a logistic curve through confidences of any scale
  isotonic     the best rising curve; wants a few hundred questions"""


def main(args: list[str]) -> None:
    """Choose a threshold and write it.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: for arguments that are missing, of no use, or out of range, or a split that no calibrator fits.
    """
    given = _parser().parse_args(args)
    choose, needed, optional = METHODS[given.method]
    _check_arguments(given, needed, optional)
    if given.out.resolve() == given.predictions.resolve():
        raise UserError(f"Expected --out to be another file than --predictions but both are {given.out}")
    predictions = read_answers(given.predictions, given.annotations, accuracy_of(given)).predictions
    more = {name: value for name in optional if (value := getattr(given, name)) is not None}
    columns = np.array([(p.confidence, p.accuracy, p.declined) for p in predictions], dtype=np.float64)
    confidence, correctness, declined = columns.T
    with said_in_one_line():
        # On the confidences as they are: levels that a calibrator merges are chosen by looking at the answers, so cuts
        # between them would void the guarantees.
        choice = choose(confidence, correctness, getattr(given, needed), **more, abstained=declined)
        answers = confidence[declined == 0], correctness[declined == 0]
        calibrator = None if given.calibrator is None else _fit(given.calibrator, *answers)
    manifest = manifest_if_any(given.predictions)
    images = len({p.image_id for p in predictions})
    write_threshold(given.out, choice, given.predictions, images, manifest.get("confidence"), calibrator)
    if manifest.get("set", "calibration") != "calibration":
        message = f"chosen on the set {manifest['set']!r}: what is reported on that set is no longer a test"
        print(f"lit-vlr: {message}", file=sys.stderr)
    if choice.bound is not None and images < choice.n:
        message = f"{choice.n} questions on {images} pictures: the guarantee takes each question for independent"
        print(f"lit-vlr: {message}; see docs/guarantees.md", file=sys.stderr)
    print(_said(choice, images))
    if calibrator is not None:
        print(_calibration_said(calibrator, choice))
    print(f"threshold file: {given.out}")


def _parser() -> Parser:
    parser = Parser(
        prog="lit-vlr calibrate",
        description="Choose the confidence below which a model abstains, on the predictions of a calibration split.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    said = "calibration.jsonl of `lit-vlr validate`"
    parser.add_argument("--predictions", type=Path, required=True, metavar="FILE", help=said)
    parser.add_argument("--method", choices=tuple(METHODS), default="ltt")
    parser.add_argument("--target-risk", type=float, metavar="R", help="risk allowed, 0.1 say")
    said = "probability with which the guarantee may fail (default: 0.05)"
    parser.add_argument("--delta", type=float, metavar="D", help=said)
    parser.add_argument(
        "--starts", type=int, metavar="J", help="sequences that ltt tests (default: 1); 3 for thousands"
    )
    parser.add_argument("--cost", type=float, metavar="C", help="price of a wrong answer")
    parser.add_argument("--coverage", type=float, metavar="C", help="share of the questions to answer")
    said = "fit one too; test, predict, ask and score then say the accuracy to expect"
    parser.add_argument("--calibrator", choices=tuple(KINDS), help=said)
    parser.add_argument(
        "--out", type=Path, default=Path("threshold.json"), metavar="FILE", help="(default: %(default)s)"
    )
    add_answer_arguments(parser)
    return parser


def _check_arguments(given: argparse.Namespace, needed: str, optional: tuple[str, ...]) -> None:
    if getattr(given, needed) is None:
        raise UserError(f"Expected {_flag(needed)} with --method {given.method} but it is missing")
    for name in ("target_risk", "delta", "starts", "cost", "coverage"):
        if name not in (needed, *optional) and getattr(given, name) is not None:
            raise UserError(f"Expected no {_flag(name)} with --method {given.method}; it would change nothing")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _fit(kind: str, confidence: npt.NDArray[np.float64], correctness: npt.NDArray[np.float64]) -> Calibrator:
    outside = confidence[(confidence < 0) | (confidence > 1)]
    if kind == "temperature" and len(outside):
        raise UserError(
            f"Expected confidences in [0, 1] with --calibrator temperature but got {outside[0]:g}; use platt, "
            "which takes any score"
        )
    return KINDS[kind].fit(confidence, correctness)


def _said(choice: ThresholdChoice, images: int) -> str:
    if not choice.feasible:
        return f"abstains on everything: {choice.reason}"
    return (
        f"threshold {choice.threshold:.4g} answers {choice.answered} of {choice.n} calibration questions "
        f"({100 * choice.coverage:.1f}%, on {images} pictures) with a risk of {choice.risk:.3f}\n"
        f"guarantee: {choice.guarantee}"
    )


def _calibration_said(calibrator: Calibrator, choice: ThresholdChoice) -> str:
    said = f"calibrator: {calibrator.kind}"
    if not choice.feasible:
        return said
    return f"{said}; at the threshold it expects an accuracy of {float(calibrator([choice.threshold])):.3f}"
