"""The VQA format: a file of questions, and one of what annotators answered; read row by row, none believed unchecked.

OK-VQA, VQAv2, AdVQA, and VizWiz as some distribute it; they differ in the names of their pictures, in the kinds of
questions, and in whether answers are stemmed.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.parsing import read_entries
from lit_vlr.data.pictures import Pictures
from lit_vlr.data.records import Record, quote, some
from lit_vlr.types import Sample, Task

N_ANSWERS = 10


def numbered(record: Record) -> int | str:
    """An image_id of COCO's kind."""
    return record.integer("image_id")


@dataclass(frozen=True)
class VQAFormat:
    """How one benchmark uses the format.

    Attributes:
        prefix: ``dataset/split``, of the uids.
        image_name: file name of a picture, from its image_id.
        image_id: reads it; a number, or a file name.
        answer_field: key of an answer's text.
        labels: metadata of an annotation, from the row and from what stands beside the list of annotations.
        annotation_fields: keys of annotations that ``labels`` reads; only these are kept while reading.
        image_field: how errors call what ``image_name`` is made of.
        because: how a picture comes to lie elsewhere, for errors.
        task: see `Sample`.
        image_source: see `Sample`.
        require_ten: refuse questions without exactly ten answers, instead of a warning.
    """

    prefix: str
    image_name: Callable[[int | str], str]
    image_id: Callable[[Record], int | str] = numbered
    answer_field: str = "answer"
    labels: Callable[[Record, Record], dict[str, Any]] = lambda row, document: {}
    annotation_fields: Collection[str] = ()
    image_field: str = "image_id"
    because: str = "it leads"
    task: Task | None = None
    image_source: str = ""
    require_ten: bool = False
    _texts: dict[str, str] = field(default_factory=dict, repr=False)  # most answers are given again and again

    def read(self, questions: Path, annotations: Path | None, images: Path) -> list[Sample]:
        """Samples in the order of the questions; see `lit_vlr.data.okvqa.read_okvqa` for what is refused."""
        collecting = gc.isenabled()
        gc.disable()  # nothing here is circular, and walking over and over through what has been read takes seconds
        try:
            return self._read(questions, annotations, Pictures(images))
        finally:
            if collecting:
                gc.enable()

    def _read(self, questions: Path, annotations: Path | None, pictures: Pictures) -> list[Sample]:
        asked: dict[int, _Asked] = {}
        read_entries(questions, "questions", lambda record: self._question(record, asked))
        said: dict[int, _Said] = {}
        metadata: Mapping[int, dict[str, Any]] = {}
        if annotations is not None:
            document, _ = read_entries(annotations, "annotations", lambda record: self._annotation(record, said))
            _same_ids(annotations, asked.keys(), said.keys())
            metadata = {key: self.labels(one.record, document) for key, one in said.items()}
        samples = []
        nobody = _Said(Record(questions, {}), None, ())
        for key, question in asked.items():
            record, image_id = question.record, question.image_id
            one = said.get(key, nobody)
            if one.image_id is not None and one.image_id != image_id:
                record.fail(
                    "image_id",
                    f"Expected {one.image_id} as in {annotations} but got {image_id}; are both of one split?",
                )
            path = pictures.path(record, self.image_field, self.image_name(image_id), self.because)
            samples.append(
                Sample(
                    record.uid,
                    path,
                    str(image_id),
                    question.text,
                    one.answers,
                    metadata.get(key, {}),
                    task=self.task,
                    image_source=self.image_source,
                )
            )
        if annotations is not None:
            check_ten(annotations, samples, self.require_ten, stacklevel=6)
        return samples

    def _question(self, record: Record, asked: dict[int, _Asked]) -> None:
        key, record = self._keyed(record, asked)
        asked[key] = _Asked(
            Record(record.file, {}, record.index, record.uid), self.image_id(record), record.text("question")
        )

    def _annotation(self, record: Record, said: dict[int, _Said]) -> None:
        key, record = self._keyed(record, said)
        kept = {name: record.row[name] for name in self.annotation_fields if name in record.row}
        said[key] = _Said(
            Record(record.file, kept, record.index, record.uid), self.image_id(record), self._answers(record)
        )

    def _keyed(self, record: Record, known: Mapping[int, _Asked | _Said]) -> tuple[int, Record]:
        key = record.integer("question_id")
        record = record.named(f"{self.prefix}/{key}")
        if key in known:
            place = known[key].record.index
            record.fail("question_id", f"Expected each once but {key} is already entry {place}; remove one")
        return key, record

    def _answers(self, record: Record) -> tuple[str, ...]:
        given = record.get("answers")
        if not isinstance(given, list) or not given:
            record.fail("answers", f"Expected a list with entries but got {quote(given)}")
        texts = []
        for place, answer in enumerate(given):
            if not isinstance(answer, dict):
                record.fail("answers", f"Expected objects but entry {place} is {quote(answer)}")
            text = answer.get(self.answer_field)
            # Two million texts, few of them different: each is checked once, and held once.
            known = self._texts.get(text) if isinstance(text, str) else None
            if known is None:
                known = record.checked(f"answers[{place}].{self.answer_field}", text)
                self._texts[known] = known
            texts.append(known)
        return tuple(texts)


class _Asked(NamedTuple):
    record: Record
    image_id: int | str
    text: str


class _Said(NamedTuple):
    record: Record
    image_id: int | str | None
    answers: tuple[str, ...]


def kinds(*fields: str) -> Callable[[Record, Record], dict[str, Any]]:
    """Metadata that keeps some fields of an annotation, each with text in it; one record for all that are equal."""
    known: dict[tuple[object, ...], dict[str, Any]] = {}

    def label(row: Record, document: Record) -> dict[str, Any]:
        key = tuple(value if isinstance(value := row.row.get(name), str) else None for name in fields)
        if key not in known:
            known[key] = {name: row.text(name) for name in fields}
        return known[key]

    return label


def _same_ids(annotations: Path, asked: Collection[int], labelled: Collection[int]) -> None:
    only_asked, only_labelled = sorted(set(asked) - set(labelled)), sorted(set(labelled) - set(asked))
    if only_asked or only_labelled:
        sides = {"questions without annotation": only_asked, "annotations without question": only_labelled}
        found = " and ".join(f"{len(ids)} {side} ({some(ids)})" for side, ids in sides.items() if ids)
        message = f"Expected one annotation a question but found {found}; take both files of one split"
        raise DataFormatError(annotations, None, "", "question_id", message)


def check_ten(
    file: Path, samples: Collection[Sample], require: bool, field: str = "answers", stacklevel: int = 4
) -> None:
    """Say that some samples have not ten answers, or refuse it.

    Args:
        file: where the answers are from.
        samples: those without any are left out.
        require: raise an error instead of a warning.
        field: of the answers.
        stacklevel: of the warning; `read` of a benchmark, or what calls it.

    Raises:
        DataFormatError: naming the first of them, if it is asked for.
    """
    labelled = [sample for sample in samples if sample.answers]
    odd = [sample for sample in labelled if len(sample.answers) != N_ANSWERS]
    if not odd:
        return
    few = some([f"{sample.uid} ({len(sample.answers)})" for sample in odd])
    found = f"{len(odd)} of {len(labelled)} have another number: {few}; their soft accuracy is not comparable"
    message = f"Expected {N_ANSWERS} answers a question but {found} with published ones"
    if require:
        raise DataFormatError(file, None, odd[0].uid, field, message)
    warnings.warn(f"{file}: {message[0].lower()}{message[1:]}", stacklevel=stacklevel)
