"""`lit-vlr report`: one report of several runs."""

from __future__ import annotations

from pathlib import Path

from lit_vlr.errors import UserError
from lit_vlr.report import build_report
from lit_vlr.verbs.parser import Parser, said_in_one_line


def main(args: list[str]) -> None:
    """Write the report and say where it is.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: for malformed arguments, two runs of one name, or predictions that cannot be used.
        FileNotFoundError: if a run is missing or holds no predictions.
    """
    given = _parser().parse_args(args)
    if given.n_resamples < 1:
        raise UserError(f"Expected --n-resamples of at least 1 but got {given.n_resamples}")
    with said_in_one_line():
        print(build_report(given.runs, given.out, given.title, n_resamples=given.n_resamples))


def _parser() -> Parser:
    parser = Parser(prog="lit-vlr report", description="Write one report of several runs.")
    said = "run folders, each an arm that is called like its folder; the first is what the others are compared with"
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help=said)
    said = "the HTML file, or a folder for report.html (default: %(default)s)"
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help=said)
    said = "the heading (default: %(default)s)"
    parser.add_argument("--title", default="Selective prediction under attack", metavar="TEXT", help=said)
    said = "of the bootstrap (default: %(default)s)"
    parser.add_argument("--n-resamples", type=int, default=1000, metavar="N", help=said)
    return parser
