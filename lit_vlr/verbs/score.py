"""`lit-vlr score`: every selective metric of one or several files of answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lit_vlr.answers import read_answers
from lit_vlr.errors import UserError
from lit_vlr.functional import Interval, PairedDifference
from lit_vlr.infinities import to_json
from lit_vlr.predictions import manifest_path, read_manifest
from lit_vlr.scores import METRICS, answers_of, compare, score
from lit_vlr.threshold_file import read_threshold
from lit_vlr.verbs.parser import Parser, add_answer_arguments, said_in_one_line


def main(args: list[str]) -> None:
    """Score files and print a table, or JSON.

    With several files, each later one is compared with the first, question by question.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: for malformed arguments, a threshold of another score, or files about different questions.
    """
    given = _parser().parse_args(args)
    if given.resamples < 1:
        raise UserError(f"Expected --resamples of at least 1 but got {given.resamples}")
    files: list[Path] = given.predictions
    if len(set(files)) < len(files):
        raise UserError("Expected each file of --predictions once but one is given twice; its difference is zero")
    threshold = None if given.threshold is None else _threshold(given.threshold, files)
    sets = [answers_of(read_answers(file, given.annotations, given.dialect), threshold) for file in files]
    with said_in_one_line():
        differences = [compare(later, sets[0], given.resamples) for later in sets[1:]]
        scores = [score(answers, given.resamples) for answers in sets]
    if not given.json:
        print(_table(files, [len(answers.uids) for answers in sets], scores, differences))
        return
    document = {
        "threshold": None if threshold is None else to_json(threshold),
        "resamples": given.resamples,
        "level": 0.95,
        "files": [
            {
                "file": str(file),
                "n": len(answers.uids),
                "images": len(set(answers.images)),
                "metrics": _document(found),
            }
            for file, answers, found in zip(files, sets, scores, strict=True)
        ],
        "differences": [
            {"file": str(file), "minus": str(files[0]), "metrics": _document(found)}
            for file, found in zip(files[1:], differences, strict=True)
        ],
    }
    print(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False))


def _parser() -> Parser:
    parser = Parser(
        prog="lit-vlr score",
        description="Every selective metric, with 95% bootstrap intervals over pictures.",
    )
    said = (
        "predictions of lit_vlr, or rows of question_id, answer and confidence; later ones are compared with the first"
    )
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, metavar="FILE", help=said)
    said = "threshold file, or a number; without it, the abstentions that were recorded"
    parser.add_argument("--threshold", metavar="FILE", help=said)
    parser.add_argument(
        "--resamples", type=int, default=500, metavar="N", help="of the bootstrap (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    add_answer_arguments(parser)
    return parser


def _threshold(given: str, files: Sequence[Path]) -> float:
    """A number as it stands; a file after a look at whether it is meant for these scores."""
    try:
        number = float(given)
    except ValueError:
        file = read_threshold(given)
        for path in files:
            has_manifest = path.suffix == ".jsonl" and manifest_path(path).is_file()
            score_name = read_manifest(path).get("confidence") if has_manifest else None
            if None not in (score_name, file.score) and score_name != file.score:
                raise UserError(
                    f"Expected a threshold for {score_name}, which {path} holds, but {given} is for {file.score}; "
                    "calibrate with the same confidence"
                ) from None
        return file.threshold
    if math.isnan(number):
        raise UserError("Expected --threshold to be a number or a file but got nan; inf abstains on everything")
    return number


def _document(found: Mapping[str, Interval | PairedDifference]) -> dict[str, dict[str, float | None]]:
    """As JSON, where what is not defined is null."""
    return {
        name: {key: None if math.isnan(value) else value for key, value in result._asdict().items()}
        for name, result in found.items()
    }


def _table(
    files: Sequence[Path],
    sizes: Sequence[int],
    scores: Sequence[Mapping[str, Interval]],
    differences: Sequence[Mapping[str, PairedDifference]],
) -> str:
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    heads = ["", *(f"{name} (n={n})" for name, n in zip(names, sizes, strict=True))]
    heads += [f"{name} - {names[0]}" for name in names[1:]]
    rows = [
        [name, *(_cell(found[name]) for found in scores), *(_cell(found[name], "+") for found in differences)]
        for name in METRICS
    ]
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    note = "value [95% interval over pictures]; - where not defined"
    return "\n".join(line.rstrip() for line in (*lines, f"{note}; p two-sided" if differences else note))


def _cell(result: Interval | PairedDifference, sign: str = "") -> str:
    if math.isnan(result.value):
        return "-"
    said = f"{result.value:{sign}.4f}"
    said += " [-]" if math.isnan(result.low) else f" [{result.low:{sign}.4f}, {result.high:{sign}.4f}]"
    if isinstance(result, PairedDifference) and not math.isnan(result.p_value):
        said += f" p={result.p_value:.3f}"
    return said
