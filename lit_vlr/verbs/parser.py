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


class Parser(argparse.ArgumentParser):
    """Raises what `lit_vlr.cli.main` prints, instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """A mistake in the arguments."""
        raise UserError(f"{message}; `{self.prog} --help` shows every argument")


def add_answer_arguments(parser: argparse.ArgumentParser) -> None:
    """What reading answers of other programs takes; see `lit_vlr.scoring.answers.read_answers`."""
    said = "official VQAv2 or OK-VQA annotations, for files of question_id, answer and confidence"
    parser.add_argument("--annotations", type=Path, metavar="FILE", help=said)
    said = "of VQA accuracy, with --annotations (default: %(default)s)"
    parser.add_argument("--dialect", choices=get_args(VQADialect), default="no_skip", help=said)
    said = "the same; `value` is what the official script does to answers without answer_id, such as those of VizWiz"
    parser.add_argument("--leave-one-out", choices=get_args(LeaveOneOut), default="index", help=said)


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """What the functional package says of its arguments is the user's to mend, since they come from the user here."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error
