"""One table of everything that was tested: each benchmark's own figures beside the selective ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Column, Table

from lit_vlr.data.errors import DataFormatError
from lit_vlr.functional import aurc
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.predictions import read_predictions
from lit_vlr.tasks import VQAAccuracy, summarise
from lit_vlr.types import Sample

OFFICIAL = "official"


@dataclass(frozen=True)
class Row:
    """A test set.

    Attributes:
        name: of the set.
        n: answers.
        figures: the benchmark's own, over all answers, those withheld too; empty where it is scored elsewhere. VQA
            accuracy in the dialect of the run, and in the official one beside it.
        accuracy: mean accuracy of all answers; None where single answers have none.
        abstention_rate: share of the answers withheld.
        aurc: area under the risk-coverage curve; None where accuracy is.
    """

    name: str
    n: int
    figures: dict[str, float]
    accuracy: float | None
    abstention_rate: float
    aurc: float | None


def benchmark_row(file: Path, name: str, samples: Sequence[Sample], dialect: VQADialect) -> Row:
    """Score the answers of one set.

    Args:
        file: predictions about exactly these samples.
        name: of the set.
        samples: what was asked.
        dialect: of VQA accuracy.

    Raises:
        DataFormatError: if answers are missing or too many, or the set has no labels to score them with.
    """
    predictions = {prediction.uid: prediction for prediction in read_predictions(file)}
    by_uid = {sample.uid: sample for sample in samples}
    if predictions.keys() != by_uid.keys():
        missing, extra = by_uid.keys() - predictions.keys(), predictions.keys() - by_uid.keys()
        message = f"Expected an answer to each sample of {name} but {len(missing)} are missing, {len(extra)} too many"
        raise DataFormatError(file, None, next(iter(missing | extra)), "uid", f"{message}; run the test again")
    answers = [predictions[sample.uid] for sample in samples]
    texts = [prediction.answer for prediction in answers]
    scored = [p for p in answers if p.accuracy is not None]
    figures: dict[str, float] = {}
    for index, sample in enumerate(samples):
        labelled = bool(sample.answers) if sample.task is None else sample.task.metric.labelled(sample)
        if not labelled and scored:
            message = f"Expected labels for all samples of {name} or none; take one split"
            raise DataFormatError(file, index, sample.uid, "answers", message)
    if scored or (samples[0].task is not None and samples[0].task.metric.labelled(samples[0])):
        figures = summarise(texts, samples, dialect)
        metric = VQAAccuracy() if samples[0].task is None else samples[0].task.metric
        if metric == VQAAccuracy() and dialect != OFFICIAL:
            figures[f"{metric.name}_{OFFICIAL}"] = summarise(texts, samples, "official")[metric.name]
    correctness = [p.accuracy for p in scored if p.accuracy is not None]
    return Row(
        name=name,
        n=len(answers),
        figures=figures,
        accuracy=fmean(correctness) if correctness else None,
        abstention_rate=fmean(p.abstained for p in answers),
        aurc=float(aurc([p.confidence for p in scored], correctness)) if correctness else None,
    )


def write_table(rows: Sequence[Row], file: Path, dialect: str) -> None:
    """Write the rows as JSON; figures that are not defined are null."""
    document = {"dialect": dialect, "sets": [_defined(asdict(row)) for row in rows]}
    file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def print_rows(rows: Sequence[Row]) -> None:
    """Print a set a row."""
    heads = ("n", "accuracy", "abstention rate", "AURC")
    # Folded, for an ellipsis would make one of several names in a narrow terminal.
    first, last = Column("set", overflow="fold"), Column("the benchmark's own", overflow="fold")
    table = Table(first, *(Column(head, justify="right") for head in heads), last, title="Test")
    for row in rows:
        numbers = (row.accuracy, row.abstention_rate, row.aurc)
        shown = [f"{name} {value:.4g}" for name, value in row.figures.items()]
        table.add_row(row.name, f"{row.n:,}", *("" if v is None else f"{v:.3f}" for v in numbers), ", ".join(shown))
    Console().print(table)


def _defined(values: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _defined(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and math.isnan(value)
        else value
        for key, value in values.items()
    }
