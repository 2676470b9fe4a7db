"""Arguments of verbs, with mistakes said in one line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, get_args

from lit_vlr.errors import UserError
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.functional.vqa_accuracy import LeaveOneOut
from lit_vlr.scoring.accuracy import Accuracy, AccuracyName


class Parser(argparse.ArgumentParser):
    """Raises what `lit_vlr.cli.main` prints, instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """A mistake in the arguments."""
        raise UserError(f"{message}; `{self.prog} --help` shows every argument")


def add_answer_arguments(parser: argparse.ArgumentParser) -> None:
    """What reading answers of other programs takes; see `lit_vlr.scoring.answers.read_answers`."""
    said = (
        "what is right, for files of question_id, answer and confidence: official, or rows of question_id and answers"
    )
    parser.add_argument("--annotations", type=Path, metavar="FILE", help=said)
    said = "by whose rule an answer is right (default: as recorded; vqa_accuracy with --annotations)"
    parser.add_argument("--accuracy", choices=get_args(AccuracyName), help=said)
    said = "of VQA accuracy (default: no_skip)"
    parser.add_argument("--dialect", choices=get_args(VQADialect), help=said)
    said = "the same; `value` is what the official script does to answers without answer_id, such as those of VizWiz"
    parser.add_argument("--leave-one-out", choices=get_args(LeaveOneOut), help=said)


def accuracy_of(given: argparse.Namespace) -> Accuracy | None:
    """The rule that the arguments name; None where they name none.

    Raises:
        UserError: for a dialect of another rule than VQA accuracy, which has dialects alone.
    """
    if given.accuracy is None and given.dialect is None and given.leave_one_out is None:
        return Accuracy() if given.annotations is not None else None
    rule = Accuracy(given.accuracy or "vqa_accuracy", given.dialect or "no_skip", given.leave_one_out or "index")
    if rule.name != "vqa_accuracy" and (given.dialect or given.leave_one_out):
        raise UserError(
            f"Expected no --dialect or --leave-one-out with --accuracy {rule.name}; they would change nothing"
        )
    return rule


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """What the functional package says of its arguments is the user's to mend, since they come from the user here."""
    try:
        yield
    except (ValueError, ImportError) as error:  # an import that fails is an extra that is not installed
        raise UserError(str(error)) from error
