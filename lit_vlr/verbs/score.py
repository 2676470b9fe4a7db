"""`lit-vlr score`: every selective metric, and every accuracy of the words, of one or several files of answers."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from lit_vlr.errors import UserError
from lit_vlr.functional import Interval, PairedDifference
from lit_vlr.infinities import to_json
from lit_vlr.predictions import manifest_if_any
from lit_vlr.report.scores import Scored, Sheet, build_sheet
from lit_vlr.scoring.accuracy import Accuracy
from lit_vlr.scoring.answers import read_answers
from lit_vlr.scoring.selective import Answers, GroupScores, answers_of, compare, score, score_groups
from lit_vlr.scoring.words import word_scores
from lit_vlr.threshold_file import ThresholdFile, read_threshold, sha256
from lit_vlr.verbs.parser import Parser, accuracy_of, add_answer_arguments, said_in_one_line


def main(args: list[str]) -> None:
    """Score files and print a table, or JSON; write a page too if asked.

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
    if len({file.resolve() for file in files}) < len(files):
        raise UserError("Expected each file of --predictions once but one is given twice; its difference is zero")
    if given.html is not None and given.html.resolve() in {file.resolve() for file in files}:
        raise UserError(f"Expected --html to be another file than --predictions but both are {given.html}")
    sheet = _sheet(given)
    print(json.dumps(_document(sheet), indent=2, allow_nan=False, ensure_ascii=False) if given.json else _table(sheet))
    if given.html is not None:
        build_sheet(sheet, given.html)


def _parser() -> Parser:
    parser = Parser(
        prog="lit-vlr score",
        description="Every selective metric and every accuracy, with 95% bootstrap intervals over pictures.",
    )
    said = (
        "predictions of lit_vlr, official VQA results, or rows of question_id, answer and confidence; later ones are "
        "compared with the first"
    )
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, metavar="FILE", help=said)
    said = "threshold file, or a number; without it, the abstentions that were recorded"
    parser.add_argument("--threshold", metavar="FILE", help=said)
    said = "say every metric's worst group too; an entry of `metadata`, or question_type or answer_type of annotations"
    parser.add_argument("--by", metavar="KEY", help=said)
    parser.add_argument(
        "--resamples", type=int, default=500, metavar="N", help="of the bootstrap (default: %(default)s)"
    )
    said = "CIDEr of the answers as captions, too; needs lit-vlr[caption]"
    parser.add_argument("--captions", action="store_true", help=said)
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with curves, too")
    add_answer_arguments(parser)
    return parser


def _sheet(given: argparse.Namespace) -> Sheet:
    files: list[Path] = given.predictions
    threshold, file = (None, None) if given.threshold is None else _threshold(given.threshold, files)
    accuracy = accuracy_of(given)
    with said_in_one_line():
        sets = [_answers(path, given, accuracy, threshold, file) for path in files]
        differences: list[dict[str, PairedDifference]] = []
        for path, later in zip(files[1:], sets[1:], strict=True):
            try:
                differences.append(compare(later, sets[0], given.resamples))
            except ValueError as error:
                raise UserError(f"Expected {path} to be about what {files[0]} is about: {error}") from error
        scored = [
            Scored(path, name, answers, score(answers, given.resamples), score_groups(answers) if given.by else None)
            for path, name, answers in zip(files, _names(files), sets, strict=True)
        ]
    return Sheet(scored, differences, threshold, file, given.by, given.resamples, _made(given.annotations, accuracy))


def _answers(
    path: Path,
    given: argparse.Namespace,
    accuracy: Accuracy | None,
    threshold: float | None,
    file: ThresholdFile | None,
) -> Answers:
    """The columns of a file."""
    predictions, references = read_answers(path, given.annotations, accuracy, need_confidence=False)
    if given.captions and references is None:
        raise UserError(f"Expected captions to compare with --captions but {path} has answers without any")
    texts = [prediction.answer for prediction in predictions]
    leave_one_out = (accuracy or Accuracy()).leave_one_out
    words = {} if references is None else word_scores(texts, references, leave_one_out, captions=given.captions)
    return answers_of(predictions, threshold, None if file is None else file.calibrator, given.by, words)


def _threshold(given: str, files: Sequence[Path]) -> tuple[float, ThresholdFile | None]:
    """A number as it stands; a file after a look at whether it is meant for these scores."""
    try:
        number = float(given)
    except ValueError:
        file = read_threshold(given)
        for path in files:
            file.check_score(manifest_if_any(path).get("confidence"), str(path))
        return file.threshold, file
    if math.isnan(number):
        raise UserError("Expected --threshold to be a number or a file but got nan; inf abstains on everything")
    return number, None


def _names(files: Sequence[Path]) -> list[str]:
    """What the files are called: their stems; where two are equal, where the paths differ, or the whole paths."""
    for names in ([file.stem for file in files], _differing(files)):
        if len(set(names)) == len(names) and all(names):
            return names
    return [str(file) for file in files]


def _differing(files: Sequence[Path]) -> list[str]:
    """The parts of the paths between those at their beginning and their end that all of them share."""

    def shared(parts: Sequence[Sequence[str]]) -> int:
        return sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False)))

    parts = [file.parts for file in files]
    head = shared(parts)
    tail = shared([part[head:][::-1] for part in parts])
    return ["/".join(part[head : len(part) - tail]) for part in parts]


def _made(annotations: Path | None, accuracy: Accuracy | None) -> dict[str, str]:
    """How accuracies were made, where they were made here."""
    source = {} if annotations is None else {"annotations": str(annotations), "annotations sha256": sha256(annotations)}
    return source | ({} if accuracy is None else accuracy.describe())


def _document(sheet: Sheet) -> dict[str, Any]:
    calibrator = None if sheet.threshold_file is None else sheet.threshold_file.calibrator
    return {
        "threshold": None if sheet.threshold is None else to_json(sheet.threshold),
        "threshold_file": None if sheet.threshold_file is None else sheet.threshold_file.describe(),
        "calibrator": None if calibrator is None else calibrator.to_dict(),
        "resamples": sheet.n_resamples,
        "level": 0.95,
        **{key.replace(" ", "_"): value for key, value in sheet.made.items()},
        "files": [
            {
                "file": str(one.file),
                "n": len(one.answers.uids),
                "images": len(set(one.answers.images)),
                "calibrated": one.answers.calibrated is not None,
                "metrics": _metrics(one.metrics),
                **({} if one.groups is None else {"by": sheet.by, **_groups(one.groups)}),
            }
            for one in sheet.scored
        ],
        "differences": [
            {"file": str(one.file), "minus": str(sheet.scored[0].file), "metrics": _metrics(found)}
            for one, found in zip(sheet.scored[1:], sheet.differences, strict=True)
        ],
    }


def _metrics(found: Mapping[str, Interval | PairedDifference]) -> dict[str, dict[str, float | None]]:
    return {name: {key: _number(value) for key, value in result._asdict().items()} for name, result in found.items()}


def _groups(found: GroupScores) -> dict[str, Any]:
    values = {
        group: {"n": found.sizes[group], **{name: _number(value) for name, value in metrics.items()}}
        for group, metrics in found.values.items()
    }
    worst = {name: {"group": group, "value": _number(value)} for name, (group, value) in found.worst.items()}
    return {"groups": values, "worst": worst}


def _number(value: float) -> float | None:
    """As JSON, where what is not defined is null."""
    return None if math.isnan(value) else value


def _table(sheet: Sheet) -> str:
    names = [one.name for one in sheet.scored]
    heads = [""]
    columns: list[list[str]] = []
    for one in sheet.scored:
        heads.append(f"{one.name} (n={len(one.answers.uids)})")
        columns.append([_cell(one.metrics.get(name)) for name in sheet.names])
        if one.groups is not None:
            heads.append(f"worst {sheet.by}")
            columns.append([_worst(one.groups, name) for name in sheet.names])
    for name, found in zip(names[1:], sheet.differences, strict=True):
        heads.append(f"{name} - {names[0]}")
        columns.append([_cell(found.get(metric), "+") for metric in sheet.names])
    rows = [heads, *([name, *(column[i] for column in columns)] for i, name in enumerate(sheet.names))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *sheet.notes()])


def _cell(result: Interval | PairedDifference | None, sign: str = "") -> str:
    if result is None or math.isnan(result.value):
        return "-"
    said = f"{result.value:{sign}.4f}"
    said += " [-]" if math.isnan(result.low) else f" [{result.low:{sign}.4f}, {result.high:{sign}.4f}]"
    if isinstance(result, PairedDifference) and not math.isnan(result.p_value):
        said += f" p={result.p_value:.3f}"
    return said


def _worst(groups: GroupScores, name: str) -> str:
    if name not in groups.worst:
        return ""
    group, value = groups.worst[name]
    return f"{'-' if math.isnan(value) else f'{value:.4f}'} ({group}, n={groups.sizes[group]})"
